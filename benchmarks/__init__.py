"""Side-by-side measurements of every room: `python -m benchmarks [--only GROUP]`, `make bench`."""
