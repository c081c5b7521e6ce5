"""Carries one trial out: a misbehaving sandbox exchange, pulls in forked processes, `kill -9`, the verdict.

Enters: a `Case`, an empty folder. Leaves: a `Trial`. Every pull and every look at a store happens in a forked
child, so that the libraries are imported once and a kill hits nothing else; the parent has one thread.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.request import ProxyHandler, Request, build_opener

import pandas as pd

from ops import soak_judge as judge
from ops.errors import SoakError
from ops.soak_case import Case, Kill
from ops.soak_fork import Child, fork
from xrl.config import load_config
from xrl.errors import XrlError
from xrl.market.exchange import Exchange
from xrl.market.pull import Order, Places, pull
from xrl.market.store import Store
from xrl.market.tables import SERIES, Kind
from xrl.sandbox import server
from xrl.sandbox.faults import Script
from xrl.sandbox.venue import Venue

_CLIENT_TIMEOUT_S: Final = 1.5  # a stall of the script's lasts longer
_CALM_TIMEOUT_S: Final = 30.0  # without faults a slow answer is the machine's doing
_CLIENT_WAITS_S: Final = (0.05, 0.1, 0.2)
_LIMIT_S: Final = 90.0  # of one pull; what takes longer hangs
_PARAMS: Final = Path(__file__).resolve().parents[1] / "params.yaml"
_BARE: Final = build_opener(ProxyHandler({}))


@dataclass
class Trial:
    """How a trial went; `problems` is empty if the store kept its promises."""

    number: int
    case: str
    kinds: list[str]
    fired: dict[str, int] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)  # of the first pulls: well, loud, killed
    corrected: int = 0
    repaired: bool = False  # the first pull left something to do, and the second did it
    seconds: float = 0.0
    said: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sandbox:
    """A sandbox exchange in a process of its own, its clock and its faults."""

    port: int

    def at(self, now: pd.Timestamp) -> None:
        self._ask("PUT", "/_clock", {"now": now.isoformat()})

    def misbehave(self, script: Script) -> None:
        self._ask("PUT", "/_faults", script.model_dump(mode="json"))

    def behave(self) -> dict[str, int]:
        """End the script; how often each of its kinds fired."""
        fired: dict[str, int] = {}
        for one in self._ask("GET", "/_faults")["fired"]:
            fired[one["kind"]] = fired.get(one["kind"], 0) + one["count"]
        self._ask("DELETE", "/_faults")
        return fired

    def _ask(self, method: str, path: str, value: object = None) -> Any:
        body = None if value is None else json.dumps(value).encode()
        headers = {"content-type": "application/json"}
        request = Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method, headers=headers)
        with _BARE.open(request, timeout=20) as answer:
            return json.load(answer)


@contextmanager
def sandbox(seed: int, log: Path) -> Iterator[Sandbox]:
    """A running sandbox exchange until the block ends."""
    sock = server.listen("127.0.0.1", 0)
    sock.listen()  # from here on a request waits until the server answers
    child = fork(lambda: server.server(Venue(seed)).run(sockets=[sock]), log)
    try:
        yield Sandbox(sock.getsockname()[1])
    finally:
        sock.close()
        child.kill()


def run(case: Case, venue: Sandbox, folder: Path) -> Trial:
    """Carry `case` out in the empty `folder`."""
    started = time.monotonic()
    trial = Trial(case.number, case.sentence(), [fault.kind for fault in case.script.faults])
    try:
        _run(case, venue, folder, trial)
    except SoakError as error:
        trial.problems.append(str(error))
    venue.behave()
    trial.seconds = round(time.monotonic() - started, 1)
    return trial


def _run(case: Case, venue: Sandbox, folder: Path, trial: Trial) -> None:
    ours, due = folder / "ours", folder / "due"
    if case.earlier is not None:
        _pull_well(case, venue, due, case.earlier_order, case.earlier + (case.now - case.now.floor("h")))
        shutil.copytree(due, ours)
        shutil.copytree(due, folder / "earlier")
    venue.at(case.now)
    venue.misbehave(case.script)
    _first_pulls(case, venue, ours, trial)
    trial.fired = venue.behave()
    # at that time: what venues keep for a month moves on
    kept = _kept(_pull_well(case, venue, due, case.order, case.now))
    shutil.copytree(due, folder / "due now")
    if case.later != case.now:
        _pull_well(case, venue, due, case.later_order, case.later)
    first_look = partial(_look, partial(_after_first, case, folder, trial, kept), "first")
    trial.problems += fork(first_look, folder / "first look.log").value(_LIMIT_S)
    if ours.exists():
        shutil.copytree(ours, folder / "after the first")
    damaged = case.damage is not None and _damage(case, ours / "store")
    last = _pull_well(case, venue, ours, case.later_order, case.later)
    trial.corrected = last["corrected"]
    if damaged:  # its whole month comes anew, beyond what was asked for too
        shutil.copytree(due, folder / "wide")
        _pull_well(case, venue, folder / "wide", case.wide_order, case.later)
    last_look = partial(_look, partial(_after_last, case, folder, last, kept, damaged), "last")
    trial.problems += fork(last_look, folder / "last look.log").value(_LIMIT_S)
    trial.repaired = "well" not in trial.ended and not trial.problems


def _first_pulls(case: Case, venue: Sandbox, folder: Path, trial: Trial) -> None:
    """The pulls among faults, all at once; `kill -9` befalls the first of them."""
    work = partial(_pull, case, venue.port, folder, case.order, case.now)
    children = [fork(work, folder.with_name(f"first pull {i}.log")) for i in range(case.pulls)]
    if case.kill is not None:
        _kill(children[0], case.kill, folder / "store")
    for child in children:
        report = child.value(_LIMIT_S)
        trial.ended.append("killed" if report is None else report["ended"])
        if report is not None and report["said"]:
            trial.said += report["said"][:300] + " "


def _kill(child: Child, kill: Kill, store: Path) -> None:
    """`kill -9`, unless the pull is over before its moment comes."""
    end, seen = time.monotonic() + kill.seconds, set[tuple[str, int]]()
    while not child.is_over():
        if kill.parts is None and time.monotonic() >= end:
            break
        seen |= set(_parts(store))
        if kill.parts is not None and len(seen) >= kill.parts:
            break
        time.sleep(0.0005)
    child.kill()


def _parts(store: Path) -> Iterator[tuple[str, int]]:
    """Name and inode of each unfinished file that is there now."""
    for folder in store.glob("*/*"):
        with os.scandir(folder) as entries:
            yield from ((entry.path, entry.inode()) for entry in entries if judge.PART in entry.name)


def _pull_well(case: Case, venue: Sandbox, folder: Path, order: Order, now: pd.Timestamp) -> dict[str, Any]:
    """A pull that no fault troubles.

    Raises:
        SoakError: it did not end well.
    """
    venue.at(now)
    log = folder.with_name(f"{folder.name} {order.end:%m-%d %H} {now:%m-%d %H}.log")
    calm = partial(_pull, case, venue.port, folder, order, now, timeout_s=_CALM_TIMEOUT_S)
    report = fork(calm, log).value(_LIMIT_S)
    if report is None or report["ended"] != "well":
        raise SoakError(f"without faults the pull into {folder} did not end well: {report}")
    return dict(report)


def _pull(
    case: Case,
    port: int,
    folder: Path,
    order: Order,
    now: pd.Timestamp,
    timeout_s: float = _CLIENT_TIMEOUT_S,
) -> dict[str, Any]:
    """One pull into `folder`, as the command line would do it; what the parent is to know of it."""
    defaults = load_config(_PARAMS)
    params = defaults.pull.model_copy(update={"connections": case.connections, "batch_rows": case.batch_rows})
    places = Places(Store(folder / "store"), folder / "quarantine", folder / "journal")
    url, clock = f"http://127.0.0.1:{port}/{case.world}", lambda: now.timestamp() + case.ahead_s
    exchange = Exchange(case.venue, url, timeout_s=timeout_s, waits_s=_CLIENT_WAITS_S, clock=clock)
    with exchange:
        try:
            outcomes = pull(exchange, places, order, params, defaults.validation, pause=_short_pause)
            kept = {
                kind: since.isoformat() for kind in SERIES if (since := exchange.kept_since(kind)) is not None
            }
        except XrlError as error:
            return {"ended": "loud", "said": str(error)}
    said = [sentence for outcome in outcomes.values() for sentence in outcome.sentences()]
    return {
        "ended": "well" if all(outcome.complete for outcome in outcomes.values()) else "loud",
        "said": " ".join(said),
        "corrected": sum(outcome.corrected for outcome in outcomes.values()),
        "mended": sum(len(outcome.mended) for outcome in outcomes.values()),
        "kept_since": kept,
    }


def _short_pause(seconds: float) -> None:
    time.sleep(min(seconds, 0.05))


def _look(look: Callable[[], list[str]], when: str) -> list[str]:
    """What is wrong with a store; it must be readable, whatever has happened."""
    try:
        return [f"after the {when} pull {sentence}" for sentence in look()]
    except XrlError as error:
        return [f"after the {when} pull the store cannot be read: {error}"]


def _kept(report: dict[str, Any]) -> dict[Kind, pd.Timestamp]:
    """Since when the venue answered for the kinds that it does not keep."""
    return {kind: pd.Timestamp(text) for kind, text in report["kept_since"].items()}


def _after_first(case: Case, folder: Path, trial: Trial, kept: dict[Kind, pd.Timestamp]) -> list[str]:
    """What is wrong with the store after the pulls among faults."""
    found = judge.frames(Store(folder / "ours" / "store"), case)
    due = judge.frames(Store(folder / "due" / "store"), case)
    wrong = judge.invented(found, due, case, trial.fired, kept)
    if case.earlier is not None:
        wrong += judge.lost(found, judge.frames(Store(folder / "earlier" / "store"), case))
    if "well" in trial.ended:
        due_now = judge.since(judge.frames(Store(folder / "due now" / "store"), case), kept)
        pardoned = judge.forgiven(judge.since(found, kept), due_now, case, trial.fired)
        wrong += judge.differences(pardoned, judge.claimed(due_now, case, trial.fired))
    return wrong


def _damage(case: Case, store: Path) -> bool:
    """Spoil one stored file, as a torn disk or an editor would; False if there is none."""
    files = sorted(store.rglob("*.parquet"))
    if not files:
        return False
    path = files[case.number % len(files)]
    data = bytearray(path.read_bytes())
    place = len(data) * (1 + case.number % 7) // 9
    data[place] ^= 1 << case.number % 8
    path.write_bytes({"cut short": data[:place], "one bit": data, "emptied": b""}[case.damage or "emptied"])
    return True


def _after_last(
    case: Case, folder: Path, last: dict[str, Any], kept_first: dict[Kind, pd.Timestamp], damaged: bool
) -> list[str]:
    """What is wrong with the store after the pull without faults."""
    store = Store(folder / "ours" / "store")
    found, first = judge.frames(store, case), judge.frames(Store(folder / "after the first" / "store"), case)
    due = judge.frames(Store(folder / "due" / "store"), case)
    kept = _kept(last)
    known = judge.frames(Store(folder / "wide" / "store"), case) if damaged else due
    wrong = judge.invented(found, known, case, (), kept_first) + judge.litter(store.root)
    if damaged:
        found = judge.within(found, due)
    wrong += judge.differences(judge.since(found, kept), judge.since(due, kept))
    wrong += judge.lost(*((judge.since(one, kept) for one in (found, first)) if damaged else (found, first)))
    versions = sum(len(judge.changed(frame, due[key])) for key, frame in first.items())
    if not damaged and last["corrected"] < versions:
        wrong.append(f"{versions} rows were corrected, but {last['corrected']} are counted")
    if last["mended"] != damaged:
        wrong.append(f"{int(damaged)} files were damaged, but {last['mended']} are said to be mended")
    return wrong
