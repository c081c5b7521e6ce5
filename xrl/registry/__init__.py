"""Bundles, the promotion gate and the model registry."""
