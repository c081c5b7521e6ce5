"""A stand-in exchange on localhost whose worlds have a known truth."""
