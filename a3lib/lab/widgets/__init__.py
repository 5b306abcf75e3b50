"""Widgets: controls and one value, which a plain function computes."""
