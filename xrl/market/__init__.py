"""Candles and funding: pulled, validated, stored."""
