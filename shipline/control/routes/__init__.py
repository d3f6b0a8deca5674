"""The HTTP API, a file per noun. Handlers are plain functions: they wait for ports, so they run on threads."""
