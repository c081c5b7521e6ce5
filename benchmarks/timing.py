"""Clocks. Enters: callables. Leaves: seconds, one number for each repetition or their median."""

import gc
import statistics
import time
from collections.abc import Callable

Clock = Callable[[], float]


def seconds(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """How long one call takes."""
    start = clock()
    call()
    return clock() - start


def median_seconds(call: Callable[[], object], repetitions: int, clock: Clock = time.perf_counter) -> float:
    """Median of several calls after one that warms up and does not count."""
    call()
    gc.collect()
    return statistics.median(seconds(call, clock) for _ in range(repetitions))


def side_by_side(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repetitions: int,
    clock: Clock = time.perf_counter,
) -> tuple[float, float]:
    """Median seconds of both, called in turn so that a busy moment of the machine meets both.

    Call each once before to warm up what needs it.
    """
    gc.collect()
    pairs = [(seconds(ours, clock), seconds(theirs, clock)) for _ in range(repetitions)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
