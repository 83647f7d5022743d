"""Measurements of accuracy against data, and the curves fitted to them."""
