"""Walk-forward replay of a policy, with the baselines beside it."""
