"""One group in a process of its own. It lies outside `__main__` so that a fresh process can import it."""

import logging
from importlib import import_module


def run_group(group: str) -> dict[str, float]:
    """Figures of one group, measured in this process."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # tells its own registrations
    found: dict[str, float] = import_module(f"benchmarks.{group}").measure()
    return found
