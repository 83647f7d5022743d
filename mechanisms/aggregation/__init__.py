"""Robust aggregation of updates."""
