"""`make gate-simulation`: what the promotion gate does with a thousand tracks whose truth is known.

`python -m benchmarks.gate_simulation [--tracks 1000] [--seed N]`. Enters: params.yaml. Leaves: a line as
tracks are judged, then benchmarks/gate.json and docs/gate.md. One core; a track takes most of a second.
"""

import argparse
import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import beta

from benchmarks import gate_page
from benchmarks.gate_judgement import Judged, judged
from benchmarks.gate_tracks import Sight, simulate
from xrl.config import Config, load_config

ROOT: Final = Path(__file__).resolve().parents[1]
DAYS: Final = 720

#: The default committee of the planted demo, and LightGBM beside it. Half of its voice is trees like
#: LightGBM's, so both misread volatility alike: the paired interval of F1 is as wide as the demo's.
AHEAD: Final = Sight(0.27, 0.33, 0.85, market=0.0, spread_noise=0.36, persistence=0.9, shared_spread=0.75)
#: The same committee beside a rival that sees as much.
LEVEL: Final = replace(AHEAD, rival_noise=AHEAD.noise)
#: Networks alone, which see direction better and volatility less well than trees do, each in its own way.
NETWORKS: Final = Sight(0.20, 0.26, 0.85, market=0.0, spread_noise=0.5, persistence=0.9)
#: Nothing to foresee but volatility; errors last for hours, a day, days, two weeks, half of it on all coins.
BLIND: Final = tuple(
    replace(NETWORKS, market=0.5, persistence=kept, shared_spread=AHEAD.shared_spread, conviction=0.4)
    for kept in (0.9, 0.97, 0.99, 0.997)
)


@dataclass(frozen=True)
class Scenario:
    """Tracks of one truth; track k is seen through `sights[k % len(sights)]`."""

    name: str
    world: str
    sights: tuple[Sight, ...]
    share: float  # of the tracks asked for


SCENARIOS: Final = (
    Scenario("nothing to foresee", "random_walk", BLIND, 1.0),
    Scenario("planted strength", "planted", (AHEAD,), 0.3),
    Scenario("networks alone", "planted", (NETWORKS,), 0.3),
    Scenario("LightGBM sees as much", "planted", (LEVEL,), 0.1),
)
#: Figures whose mean over the tracks says what was simulated.
SHOWN: Final = {
    "F1 macro": ("prediction", "f1_macro", "value"),
    "F1, volatility only": ("prediction", "f1_volatility_only"),
    "F1 minus LightGBM": ("prediction", "f1_minus_lightgbm", "value"),
    "direction": ("prediction", "direction_accuracy", "value"),
    "IC": ("prediction", "ic", "value"),
    "ECE": ("prediction", "ece"),
    "net Sharpe": ("trading", "sharpe", "value"),
    "turnover a day": ("trading", "turnover"),
}


def main() -> int:
    """Simulate, judge, write; 1 where the gate does not keep what it promises."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_simulation", description=__doc__)
    parser.add_argument("--tracks", type=int, default=1000, help="with nothing to foresee; of others a share")
    parser.add_argument("--seed", type=int, default=1, help="of the first track")
    asked = parser.parse_args()
    config = quicker(load_config(ROOT / "params.yaml"))
    found: dict[str, Any] = {
        "seed": asked.seed,
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "days": DAYS,
        "symbols": len(config.market.symbols),
        "bootstrap": config.backtest.bootstrap,
        "scenarios": {},
    }
    for scenario in SCENARIOS:
        count = max(round(asked.tracks * scenario.share), 1)
        tracks = tuple(_told(scenario, islice(judgements(scenario, asked.seed, config), count), count))
        found["scenarios"][scenario.name] = summary(scenario, tracks)
    (ROOT / "benchmarks" / "gate.json").write_text(json.dumps(found, indent=1) + "\n")
    (ROOT / "docs" / "gate.md").write_text(gate_page.page(found))
    print("written: benchmarks/gate.json, docs/gate.md")
    blind, planted = (found["scenarios"][scenario.name]["promoted_share"] for scenario in SCENARIOS[:2])
    return 0 if blind <= 0.01 and planted >= 0.9 else 1


def quicker(config: Config) -> Config:
    """The same recipe with fewer resamples, which is what most of a track's time goes into."""
    fewer = {"bootstrap": 200, "random_timing_runs": 20}
    return config.model_copy(update={"backtest": config.backtest.model_copy(update=fewer)})


def judgements(scenario: Scenario, seed: int, config: Config) -> Iterator[Judged]:
    """One judged track after the other, of seeds `seed`, `seed` + 1, ..."""
    for number in range(10**9):
        sight = scenario.sights[number % len(scenario.sights)]
        track = simulate(scenario.world, seed + number, DAYS, sight, config)
        yield judged(track, scenario.world, seed + number, config)


def summary(scenario: Scenario, tracks: tuple[Judged, ...]) -> dict[str, Any]:
    """Promoted share with its 95 % interval (Clopper and Pearson 1934), and what each check refused.

    `refused` is the share of tracks that a check refuses, `alone` the share that nothing else refuses.
    """
    refusals = [tuple(check.name for check in track.decision.refusals) for track in tracks]
    by_check = Counter(name for names in refusals for name in set(names))
    alone = Counter(names[0] for names in refusals if len(set(names)) == 1)
    promoted, count, kinds = sum(not names for names in refusals), len(tracks), len(scenario.sights)
    by_sight = [refusals[k::kinds] for k in range(kinds)]
    checks = dict.fromkeys(check.name for track in tracks for check in track.decision.checks)
    return {
        "tracks": count,
        "promoted": promoted,
        "promoted_share": promoted / count,
        "interval": _interval(promoted, count),
        "by_persistence": {
            str(sight.persistence): {
                "tracks": len(own),
                "promoted": sum(not names for names in own),
                "interval": _interval(sum(not names for names in own), len(own)),
            }
            for sight, own in zip(scenario.sights, by_sight)
        },
        "means": {
            name: float(np.mean([_at(track.metrics, path) for track in tracks]))
            for name, path in SHOWN.items()
        },
        "checks": {
            name: {"refused": by_check[name] / count, "alone": alone[name] / count} for name in checks
        },
    }


def _interval(promoted: int, count: int) -> list[float]:
    """95 % interval of a share."""
    low = float(beta.ppf(0.025, promoted, count - promoted + 1)) if promoted else 0.0
    high = float(beta.ppf(0.975, promoted + 1, count - promoted)) if promoted < count else 1.0
    return [low, high]


def _at(metrics: Mapping[str, Any], path: tuple[str, ...]) -> float:
    node: Any = metrics
    for part in path:
        node = node[part]
    return float(node)


def _told(scenario: Scenario, tracks: Iterator[Judged], count: int) -> Iterator[Judged]:
    """The same tracks, with a line for every twentieth part of them."""
    promoted = 0
    for number, track in enumerate(tracks, start=1):
        promoted += track.decision.promote
        if number % max(count // 20, 1) == 0:
            print(f"{scenario.name}: {number} of {count} judged, {promoted} promoted", flush=True)
        yield track


def _commit() -> str:
    def git(*asked: str) -> str:
        done = subprocess.run(["git", *asked], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    is_changed = git("status", "--porcelain", "--", "xrl", "benchmarks/*.py", "params.yaml")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if is_changed else "")


if __name__ == "__main__":
    raise SystemExit(main())
