"""Bounds recomputed from the problem by weak duality; nothing here comes from the code that solves programs."""
