"""Runs, records, claims, figures and widgets: what the notebooks use around the core."""
