"""What goes wrong around an optimizer: memory that moves, forks, threads, damaged files, edits by hand."""
