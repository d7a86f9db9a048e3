"""The host: groups, options, the step loop, clocks, checkpoints, classes made from rules."""
