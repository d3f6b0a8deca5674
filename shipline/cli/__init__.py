"""The command `shipline`: a thin client of the control plane's HTTP API."""
