"""One file or package per vendor SDK or tool, each the only importer of that SDK."""
