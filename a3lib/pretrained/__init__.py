"""Pretrained weights and text encoders: fetched once, checked, never silently left at random."""
