"""The door: the command line, the control plane and its HTTP API."""
