"""Backends against the language's own meaning on plain numbers."""
