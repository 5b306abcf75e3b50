"""Figures: each function takes data and returns a `Picture`; `base.show` displays it."""
