"""What happened next, and which bars may learn from it."""
