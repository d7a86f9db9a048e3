"""What compiled code asks Python and torch, file by file."""
