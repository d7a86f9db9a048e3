"""The commands: arguments and printing only; what they do is in the other packages."""
