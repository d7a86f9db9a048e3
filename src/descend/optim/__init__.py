"""The host: from a rule to a ``torch.optim.Optimizer``."""
