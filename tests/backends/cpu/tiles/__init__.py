"""Programs with rows and columns, file by file."""
