"""The language of formulas: tracing, rewriting, passes, and what its messages say."""
