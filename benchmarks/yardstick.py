"""How fast the machine is, by no code of ours: so that a slow machine can be told from slow code.

The copy runs in every group's report; the echo is measured beside the service (`serve`), the LSTM step beside
the expert (`experts`), each in the same minute as what it is compared with.
"""

import numpy as np

from benchmarks.timing import median_seconds


def measure(megabytes: int = 256, repetitions: int = 7) -> dict[str, float]:
    """Memory copied by numpy, GB a second."""
    source = np.ones(megabytes * 1_000_000 // 8)
    target = np.zeros_like(source)
    one = median_seconds(lambda: np.copyto(target, source), repetitions)
    return {"yardstick.memcpy_gb_per_s": source.nbytes / one / 1e9}
