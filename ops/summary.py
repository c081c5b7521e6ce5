"""The end of a demo, for people: why a candidate was promoted or refused, and what the service says."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ops.outcome import Outcome
from ops.service_call import Answers

#: Figures that a world's optimal rule bounds, and the value of knowing nothing.
_CEILING = (
    ("F1 macro", ("prediction", "f1_macro"), "f1_macro", 1 / 3),
    ("direction accuracy", ("prediction", "direction_accuracy"), "direction_accuracy", 0.5),
    ("Sharpe, net", ("trading", "sharpe"), "sharpe", 0.0),
)


def print_outcome(result: Outcome, console: Console) -> None:
    """Verdict, every check with its figure and bound, and the share of the world's ceiling."""
    if result.was_champion:
        verdict = f"[bold green]{result.version} is already champion[/] (identical bundle)"
    elif result.is_champion:
        verdict = f"[bold green]{result.version} is promoted[/]"
    else:
        verdict = f"[bold yellow]{result.version} is refused[/]: {_reasons(result.decision)}"
    console.print(f"\n{verdict}", highlight=False)
    if result.decision["checks"]:
        console.print(_checks(result.decision))
    if result.metrics.get("ceiling"):
        console.print(_ceiling(result.metrics))


def print_answers(answers: Answers, console: Console) -> None:
    """The service's answer to one prediction and one action."""
    said, acted = answers.prediction, answers.action
    shares = ", ".join(f"{name} {value:.3f}" for name, value in said["probabilities"].items())
    console.print(
        f"  POST /predict {answers.symbol}, {answers.bars} candles ({answers.predict_ms:.0f} ms): "
        f"[bold]{said['direction']}[/] at confidence {said['confidence']:.2f} ({shares})",
        highlight=False,
    )
    console.print(
        f"  POST /act, flat account ({answers.act_ms:.0f} ms): [bold]{acted['action']}[/], "
        f"target exposure {acted['target_exposure']:+.1f}x",
        highlight=False,
    )
    lineage = said["lineage"]
    console.print(
        f"  answered by {lineage['model']} version {lineage['version']}, as of {lineage['as_of']}, "
        f"commit {lineage['git_commit'][:12]}",
        highlight=False,
    )


def _checks(decision: dict[str, Any]) -> Table:
    table = Table("check", "figure", "", "bound", "", box=box.SIMPLE, title=f"gate ({decision['kind']})")
    for check in decision["checks"]:
        verdict = "[green]passes[/]" if check["passed"] else f"[red]fails[/]: {check['reason']}"
        table.add_row(
            check["name"], _number(check["figure"]), check["relation"], _number(check["bound"]), verdict
        )
    return table


def _ceiling(metrics: dict[str, Any]) -> Table:
    table = Table(
        "figure", "reached", "95 %", "ceiling", "share above chance", box=box.SIMPLE, title="this world"
    )
    for label, (section, name), key, chance in _CEILING:
        found, ceiling = metrics[section][name], metrics["ceiling"].get(key)
        if ceiling is None:
            continue
        share = "" if ceiling <= chance else f"{(found['value'] - chance) / (ceiling - chance):.0%}"
        table.add_row(
            label,
            _number(found["value"]),
            f"{_number(found['low'])} to {_number(found['high'])}",
            _number(ceiling),
            f"{share} (chance {_number(chance)})" if share else "",
        )
    return table


def _reasons(decision: dict[str, Any]) -> str:
    return "; ".join(check["reason"] for check in decision["checks"] if not check["passed"]) or "see the gate"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.0e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"
