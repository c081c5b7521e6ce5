"""`make demo`: the whole way through the running servers, first a world with a signal, then one without.

Enters: settings and what to run. Leaves: a champion that the service serves (or a refusal with its reasons),
a summary for the reader, and `var/demo.json` with the seconds it took.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

from rich.console import Console

from ops import servers
from ops.airflow_api import Airflow
from ops.environment import PASSWORDS, ROOT, VAR
from ops.outcome import Outcome, champion, outcome
from ops.service_call import ask, served_version
from ops.summary import print_answers, print_outcome
from ops.watch import Meanwhile, follow, wait_for
from xrl.config import Config, Settings, load_config
from xrl.errors import ConfigError

REPLAY_AS_OF, REPLAY_DAYS = datetime(2025, 1, 1, tzinfo=UTC), 1461


@dataclass(frozen=True)
class Demo:
    """What to run: one world alone, or both (None); the rest None for params.yaml's values."""

    world: str | None
    days: int | None
    as_of: str | None


@dataclass(frozen=True)
class Job:
    """One world's run."""

    world: str
    symbols: tuple[str, ...]
    days: int
    preset: str
    as_of: datetime

    @property
    def start(self) -> datetime:
        return self.as_of - timedelta(days=self.days)


def run(current: Settings, demo: Demo) -> int:
    """Run every job; returns 0 whatever the gate decides, since a refusal is a result.

    Raises:
        XrlError: a server or a task failed.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a log wraps by itself
    if demo.world == "replay" and current.replay_dir is None:
        raise ConfigError("the world replay needs files: make demo WORLD=replay DATA=../shared/market")
    begin = time.monotonic()
    outcomes = []
    with _servers(current, console):
        airflow = Airflow(current.airflow_url)
        airflow.wait_for_dags({"market_data", "retrain", "promote"})
        queue = jobs(load_config(ROOT / "params.yaml"), demo)
        pulls = _Pulls(airflow)
        for job, following in zip_longest(queue, queue[1:]):
            outcomes.append(_one_world(current, pulls, job, following, console))
        seconds = time.monotonic() - begin
        _record(outcomes, seconds)
        console.rule("addresses")
        console.print(f"  Airflow  {current.airflow_url}   user admin, password in {PASSWORDS}")
        console.print(f"  MLflow   {current.tracking_url}\n  service  {current.service_url}")
    console.print(f"done in {seconds / 60:.1f} minutes")
    return 0


def jobs(config: Config, demo: Demo) -> list[Job]:
    """The worlds to run, in order, with their parameters."""
    found = []
    for world in [demo.world] if demo.world else ["planted", "random_walk"]:
        replay = world == "replay"
        as_of = REPLAY_AS_OF if replay else config.snapshot.as_of
        if demo.as_of is not None:
            as_of = _time(demo.as_of)
        days = demo.days or (REPLAY_DAYS if replay else config.snapshot.days)
        found.append(Job(world, config.market.symbols, days, config.experts.preset, as_of))
    return found


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"AS_OF must be a date such as 2025-01-01, UTC; received {text!r}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class _Pulls:
    """Each world's run of market_data, triggered once."""

    def __init__(self, airflow: Airflow) -> None:
        self.airflow = airflow
        self.runs: dict[str, str] = {}

    def of(self, job: Job) -> str:
        if job.world not in self.runs:
            interval = {"start": f"{job.start:%Y-%m-%d}", "end": f"{job.as_of:%Y-%m-%d}"}
            about = {"world": job.world, "symbols": list(job.symbols), **interval}
            self.runs[job.world] = self.airflow.trigger("market_data", about, _run_id(job))
        return self.runs[job.world]


def _run_id(job: Job) -> str:
    return f"demo-{job.world}-{datetime.now(UTC):%Y%m%dT%H%M%S}"


def _one_world(
    current: Settings, pulls: _Pulls, job: Job, following: Job | None, console: Console
) -> Outcome:
    airflow, start = pulls.airflow, job.start
    console.rule(f"{job.world}: {len(job.symbols)} symbols, {start:%Y-%m-%d} to {job.as_of:%Y-%m-%d}")
    run_id = _run_id(job)
    champion_before = champion(current, job.world)
    common = {"world": job.world, "symbols": list(job.symbols)}
    follow(airflow, "market_data", pulls.of(job), console)

    # From the stage oof on, one core is idle: the next world's market is pulled then.
    pull_next = Meanwhile("oof", lambda: pulls.of(following)) if following else None
    recipe = {"days": job.days, "preset": job.preset, "as_of": f"{job.as_of:%Y-%m-%dT%H:%M:%SZ}"}
    retrained = airflow.trigger("retrain", {**common, **recipe}, run_id)
    follow(airflow, "retrain", retrained, console, pull_next)

    judged = wait_for("the promotion", lambda: airflow.run_after_event("promote", run_id), timeout_s=60)
    follow(airflow, "promote", judged, console)

    result = outcome(current, run_id, job.world, champion_before)
    print_outcome(result, console)
    if result.is_champion and current.serve_market == job.world:
        _show_service(current, result, job, console)
    return result


def _show_service(current: Settings, result: Outcome, job: Job, console: Console) -> None:
    begin = time.monotonic()
    wait_for(
        f"{result.version} in the service",
        lambda: "served" if served_version(current) == result.number else None,
        timeout_s=60,
    )
    console.print(f"  the service serves {result.version} ({time.monotonic() - begin:.1f} s after the run)")
    print_answers(ask(current, job.world, job.symbols[0], job.as_of), console)


@contextmanager
def _servers(current: Settings, console: Console) -> Iterator[None]:
    """The servers up; stopped afterwards only if they were not up before."""
    console.rule("servers")
    started = servers.up(current)
    if not started:
        console.print("  already up; they stay up")
    try:
        yield
    finally:
        if started:
            console.print("stopping the servers this demo started (`make up` starts them to stay)")
            servers.down()


def _record(outcomes: list[Outcome], seconds: float) -> None:
    worlds = {
        result.world: "already champion"
        if result.was_champion
        else ("champion" if result.is_champion else "refused")
        for result in outcomes
    }
    aside = VAR / "demo.json.tmp"
    aside.write_text(json.dumps({"seconds": round(seconds, 1), "worlds": worlds}, indent=1) + "\n")
    aside.replace(VAR / "demo.json")
