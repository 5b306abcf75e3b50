"""The companion to CSC413 Programming Assignment 3: models, training, measurements."""
