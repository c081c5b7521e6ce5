"""Metrics and their uncertainty; pure functions."""
