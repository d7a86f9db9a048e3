"""What compiled code asks Python and torch between two steps: what groups hold, and where gradients lie."""
