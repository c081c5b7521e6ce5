"""docs/gate.md out of what `benchmarks.gate_simulation` found. Enters: its summary. Leaves: Markdown."""

from collections.abc import Mapping
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
- **Planted strength**: the committee foresees the planted world about as well as the demo's does, and
  LightGBM is as far behind it as in the demo ([results](results.md)); its threshold rule earns more than the
  demo's policy did. To be promoted: at least 90 %.
- **LightGBM sees as much**: the same with a rival that is no worse. Nobody asks the gate to promote it; it
  shows what "not more than .01 below LightGBM, with 95 % confidence" costs on a track of this length.
"""


def page(found: Mapping[str, Any]) -> str:
    """The page for a summary as `gate.json` holds it."""
    told = {**found, "commit": found["commit"][:12]}
    scenarios = found["scenarios"]
    parts = [_HEAD.format(**told), _promoted(scenarios), _means(scenarios), _checks(scenarios)]
    return "\n".join(parts)


def _promoted(scenarios: Mapping[str, Any]) -> str:
    lines = ["## Promoted", "| | tracks | promoted | share, 95 % interval |", "| --- | --- | --- | --- |"]
    for name, found in scenarios.items():
        low, high = found["interval"]
        share = f"{found['promoted_share']:.1%} [{low:.1%}, {high:.1%}]"
        lines.append(f"| {name} | {found['tracks']} | {found['promoted']} | {share} |")
    blind = next(iter(scenarios.values()))["promoted_by_persistence"]
    by = ", ".join(f"{number} at {kept}" for kept, number in blind.items())
    lines.append(f"\nWith nothing to foresee, by the errors' persistence (AR(1), a bar): {by}.\n")
    return "\n".join(lines)


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
