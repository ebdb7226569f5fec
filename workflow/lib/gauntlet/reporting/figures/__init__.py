"""Figures: one file a kind, each with a function `draw` that gives a Matplotlib figure."""
