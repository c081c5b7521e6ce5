"""Bodies of an expert: (batch, window, units) in, the same shape out, causal at every position."""
