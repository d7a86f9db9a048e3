"""The CPU backend, file by file."""
