"""Results as pages that open anywhere."""
