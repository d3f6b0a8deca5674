"""The control plane: HTTP API, dispatcher, janitor and the supervision of its processes."""
