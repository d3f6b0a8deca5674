"""One file per flow, each a table of contents."""
