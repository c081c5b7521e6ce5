"""`python -m benchmarks [--only GROUP]`: measure, write benchmarks/results.json and docs/benchmarks.md.

Each group runs in a process of its own: no group pays for the imports or the memory of another, and one that
fails leaves the figures of the others standing.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.group import run_group
from benchmarks.material import ROOT
from benchmarks.names import FIGURES, GROUPS
from benchmarks.report import merge, table, write
from xrl.environment import apply_environment
from xrl.errors import XrlError
from xrl.experts import backend

_RESULTS = ROOT / "benchmarks" / "results.json"
_PAGE = ROOT / "docs" / "benchmarks.md"
#: Yardsticks measured beside what they are compared with.
_BESIDE = {"serve": "yardstick.http_echo_ms", "experts": "yardstick.lstm_step_cpu_ms"}


def main() -> int:
    """Measure the chosen groups; 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, help="one group; its figures join the earlier ones")
    only = parser.parse_args().only
    apply_environment(ROOT)
    backend.prepare()
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "1")
    chosen = GROUPS if only is None else tuple(dict.fromkeys(("yardstick", only)))
    figures: dict[str, float] = {}
    failed = []
    for group in chosen:
        begin = time.perf_counter()
        found, error = _measured(group)
        figures |= found
        failed += [group] if error else []
        print(f"{group}: {time.perf_counter() - begin:.0f} s" + (f", failed: {error}" if error else ""))
        for name, value in found.items():
            print(f"  {name:36} {value:,.4g}", flush=True)
    try:
        results = merge(_RESULTS, figures, _due(chosen))
    except XrlError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    write(_RESULTS, json.dumps(results, indent=1) + "\n")
    write(_PAGE, table(results))
    print(f"written: {_RESULTS.relative_to(ROOT)}, {_PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


def _measured(group: str) -> tuple[dict[str, float], BaseException | None]:
    """Figures of one group out of a fresh process, or what went wrong there."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = pool.submit(run_group, group)
        error = future.exception()
        return ({} if error else future.result()), error


def _due(groups: tuple[str, ...]) -> frozenset[str]:
    """Names that these groups replace."""
    beside = {_BESIDE[group] for group in groups if group in _BESIDE}
    own = {f.name for f in FIGURES if f.name.partition(".")[0] in groups and f.name not in _BESIDE.values()}
    return frozenset(own | beside)


if __name__ == "__main__":
    sys.exit(main())
