"""`make soak`: hundreds of pulls among random faults and `kill -9`; the store comes out as without them.

`python -m ops.soak --scripts 300 [--seed N] [--resume] [--only N]`. Enters: a seed. Leaves: a line of JSON
for each trial as it ends (`var/soak/trials.jsonl`), then `benchmarks/soak.json`. Exit code 1 if a trial
failed; `--only` repeats one and keeps its folder.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from ops.errors import SoakError

ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Soak:
    """What is asked for; `trials` and `summary` are files, `commit` is that of the code that runs."""

    seed: int
    commit: str
    scripts: int
    jobs: int
    trials: Path
    summary: Path
    only: int | None

    @property
    def numbers(self) -> list[int]:
        """Trials that have not been carried out yet."""
        if self.only is not None:
            return [self.only]
        done = {trial["number"] for trial in read_trials(self.trials)[1]}
        return [number for number in range(self.scripts) if number not in done]

    def command(self, number: int) -> str:
        """What repeats trial `number` alone."""
        return f"{sys.executable} -m ops.soak --seed {self.seed} --only {number}"


def main() -> int:
    """Exit code: 0, or 1 if a trial failed or the soak cannot run; 130 when interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers end with the soak
    try:
        soak = _asked()
        one_thread()
        _carry_out(soak)
        return _conclude(soak)
    except SoakError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; go on with --resume", file=sys.stderr)
        return 130


def _asked() -> Soak:
    parser = argparse.ArgumentParser(prog="python -m ops.soak", description=__doc__)
    parser.add_argument("--scripts", type=int, default=300, help="trials in all")
    parser.add_argument("--seed", type=int, help="default: a fresh one, or with --resume the last one's")
    parser.add_argument("--resume", action="store_true", help="go on where the last soak stopped")
    parser.add_argument("--only", type=int, help="repeat this one trial and keep its folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trials", type=Path, default=ROOT / "var" / "soak" / "trials.jsonl")
    parser.add_argument("--summary", type=Path, default=ROOT / "benchmarks" / "soak.json")
    given = parser.parse_args()
    before = read_trials(given.trials)[0] if given.resume else None
    seed = given.seed if given.seed is not None else before
    seed = secrets.randbelow(10**6) if seed is None else seed
    if given.resume and before not in (None, seed):
        raise SoakError(f"{given.trials} holds trials of seed {before}; leave --seed out or --resume")
    if given.only is not None:
        given.scripts, given.trials = 1, Path(tempfile.mkdtemp(prefix="soak-")) / "trials.jsonl"
    if before is None:
        given.trials.parent.mkdir(parents=True, exist_ok=True)
        given.trials.write_text(json.dumps({"seed": seed}) + "\n")
    return Soak(seed, _commit(), given.scripts, given.jobs, given.trials, given.summary, given.only)


def read_trials(path: Path) -> tuple[int | None, list[dict[str, Any]]]:
    """Seed and finished trials of a soak; a line that is just being written is no trial."""
    if not path.is_file():
        return None, []
    lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return lines[0]["seed"], lines[1:]


def one_thread() -> None:
    """Keep the libraries that are imported after this from starting threads: forks follow."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # pyarrow's allocator


def _carry_out(soak: Soak) -> None:
    """Every trial, `soak.jobs` at once; what has ended is told as it comes."""
    numbers = soak.numbers
    jobs = max(1, min(soak.jobs, len(numbers)))
    print(f"soak of {len(numbers)} trials, seed {soak.seed}, {jobs} at once", flush=True)
    from ops.soak_fork import fork
    from ops.soak_work import Task, work  # takes ten seconds: every library of a pull

    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    told = len(read_trials(soak.trials)[1])
    keep = soak.only is not None
    tasks = [
        Task(soak.seed, soak.commit, numbers[i::jobs], soak.trials, folder / str(i), keep)
        for i in range(jobs)
    ]
    workers = [fork(partial(work, task), folder / f"worker {i}.log") for i, task in enumerate(tasks)]
    try:
        while not all(worker.is_over() for worker in workers):
            time.sleep(0.2)
            told = _tell_new(soak, told)
        for worker in workers:
            worker.value(limit_s=1)
    finally:
        for worker in workers:
            worker.end()
        if not keep:
            shutil.rmtree(folder)
    _tell_new(soak, told)
    if keep:
        print(f"its stores and logs lie in {folder}")


def _tell_new(soak: Soak, told: int) -> int:
    """Print the trials after the first `told`; returns how many there are now."""
    trials = read_trials(soak.trials)[1]
    for count, trial in enumerate(trials[told:], told + 1):
        end = " + ".join(trial["ended"]) + (", repaired" if trial["repaired"] else "")
        verdict = "FAILED: " + "; ".join(trial["problems"]) if trial["problems"] else end
        print(
            f"[{count}/{soak.scripts}] {trial['number']}: {trial['case']}: {verdict} ({trial['seconds']} s)"
        )
        if trial["problems"]:
            print(f"    repeat it: {soak.command(trial['number'])}")
    sys.stdout.flush()
    return len(trials)


def _summarise(soak: Soak) -> dict[str, Any]:
    """What `benchmarks/soak.json` says of the finished trials."""
    trials = read_trials(soak.trials)[1]
    fired = Counter(kind for trial in trials for kind in trial["fired"])
    firsts = Counter(end for trial in trials for end in trial["ended"])
    return {
        "seed": soak.seed,
        "commit": ", ".join(dict.fromkeys(trial["commit"] for trial in trials)),
        "date": datetime.now(UTC).date().isoformat(),
        "scripts": len(trials),
        "kinds_fired": dict(sorted(fired.items())),
        "first_pulls": dict(sorted(firsts.items())),
        "repaired": sum(trial["repaired"] for trial in trials),
        "corrected_rows": sum(trial["corrected"] for trial in trials),
        "failures": [trial["number"] for trial in trials if trial["problems"]],
        "trial_minutes": round(sum(trial["seconds"] for trial in trials) / 60, 1),
    }


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True
    )
    return described.stdout.strip() or "not a checkout"


def _conclude(soak: Soak) -> int:
    """Write and print the summary (of a repeated trial: neither); the exit code."""
    summary = _summarise(soak)
    if soak.only is None:
        soak.summary.write_text(json.dumps(summary, indent=2) + "\n")
        print(json.dumps(summary, indent=2))
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
