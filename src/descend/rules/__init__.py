"""The formulas: one published method a file, in the paper's letters, and nothing else."""
