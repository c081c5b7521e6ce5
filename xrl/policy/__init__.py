"""Policies that turn observations into actions."""
