"""docs/gate.md out of what `benchmarks.gate_simulation` found. Enters: its summary. Leaves: Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_HEAD: Final = """# The gate on simulated tracks
Written by `make gate-simulation` (seed {seed}, {date}, commit {commit}); figures: `benchmarks/gate.json`.

A gate that is never tried promotes or refuses by hope. Here it judges tracks whose truth is known. No model
is trained: a track is a market of `xrl/sandbox/worlds.py` ({symbols} symbols, {days} days, hourly, volatility
clusters), the default labels and folds, and the class probabilities of a committee and of a LightGBM that
read the world's oracle through noise. What follows is what a training goes through: the figures of the stage
`backtest` (with {bootstrap} resamples instead of 1,000) and `registry.gate.judge` with params.yaml's bounds.
The policy is a threshold rule that trades whether or not it pays. What is no figure of a track (export
parity, causality, the refit's agreement) is taken as in order, and nothing was tried before: the gate must
refuse by the track alone.

- **Nothing to foresee**: the random walk. The models foresee volatility, so their F1 is above a third, and
  read noise for direction, half of it the same on all coins, lasting for hours, a day, days or two weeks: the
  longer, the fewer independent bets and the more luck. To be promoted: at most 1 %.
- **Planted strength**: the default committee of the planted demo and LightGBM beside it
  ([results](results.md)); its threshold rule earns more than the demo's policy does, so no check on trading
  is tried hard here. To be promoted: at least 90 %.
- **Networks alone**: a committee without trees. It foresees direction better and volatility less well, and
  LightGBM misreads volatility in its own way, so that the paired interval of F1 is wider. It was the first
  reading of "planted strength" and fell short of the 90 % (269 of 300 by the code of that day); the default
  committee has trees since then.
- **LightGBM sees as much**: the same with a rival that is no worse. Nobody asks the gate to promote it; it
  shows what "not more than .01 below LightGBM, with 95 % confidence" costs on a track of this length.
"""


def page(found: Mapping[str, Any]) -> str:
    """The page for a summary as `gate.json` holds it."""
    scenarios = found["scenarios"]
    parts = [_HEAD.format(**found), _promoted(scenarios), _means(scenarios), _checks(scenarios)]
    return "\n".join(parts)


def _promoted(scenarios: Mapping[str, Any]) -> str:
    lines = ["## Promoted", "| | tracks | promoted | share, 95 % interval |", "| --- | --- | --- | --- |"]
    for name, found in scenarios.items():
        share = f"{found['promoted_share']:.1%} {_bracket(found['interval'])}"
        lines.append(f"| {name} | {found['tracks']} | {found['promoted']} | {share} |")
    by = ", ".join(
        f"{one['promoted']} of {one['tracks']} {_bracket(one['interval'])} at {kept}"
        for kept, one in next(iter(scenarios.values()))["by_persistence"].items()
    )
    lines.append(f"\nWith nothing to foresee, by the errors' persistence (AR(1), a bar): {by}.\n")
    return "\n".join(lines)


def _bracket(interval: Sequence[float]) -> str:
    return f"[{interval[0]:.1%}, {interval[1]:.1%}]"


def _means(scenarios: Mapping[str, Any]) -> str:
    names = list(scenarios)
    lines = ["## What was simulated, means", f"| | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for figure in scenarios[names[0]]["means"]:
        values = " | ".join(f"{scenarios[name]['means'][figure]:.3f}" for name in names)
        lines.append(f"| {figure} | {values} |")
    return "\n".join(lines) + "\n"


def _checks(scenarios: Mapping[str, Any]) -> str:
    names = list(scenarios)
    lines = [
        "## What each check refuses",
        "Share of the tracks that the check refuses, and in brackets the share that it alone refuses.",
        "",
        f"| check | {' | '.join(names)} |",
        "| --- " * (len(names) + 1) + "|",
    ]
    idle = []
    for check in dict.fromkeys(check for name in names for check in scenarios[name]["checks"]):
        found = [scenarios[name]["checks"].get(check, {"refused": 0.0, "alone": 0.0}) for name in names]
        if any(one["refused"] for one in found):
            cells = " | ".join(f"{one['refused']:.1%} ({one['alone']:.1%})" for one in found)
            lines.append(f"| {check} | {cells} |")
        else:
            idle.append(check)
    lines.append(f"\nNever refused anything here: {', '.join(idle)}.")
    return "\n".join(lines) + "\n"
