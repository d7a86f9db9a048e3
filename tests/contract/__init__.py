"""Every method, option, backend and dtype against the float64 references and against torch.

``cases`` holds the tables: a new class or option is added there, and tests fail until it is.
"""
