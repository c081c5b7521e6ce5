"""What a build takes beside what it returns."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from benchmarks import features


def test_a_build_peaks_below_three_times_its_output():
    """In a fresh process, whose free memory from elsewhere would otherwise hide what is taken."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(features.peak_memory_ratio, 60_000).result()
    if found is None:
        pytest.skip("only Linux tells a process's peak memory")
    assert 1.0 <= found < 3.0
