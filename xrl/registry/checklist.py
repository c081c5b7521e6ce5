"""The sources' production checklist at the gate. Enters: a bundle's metrics. Leaves: checks and lines.

What was computed, and what binds whom, stands in `experts.checklist`; a bundle without the list is refused
like one whose figures were not measured.
"""

from collections.abc import Mapping
from typing import Any, Final

from xrl.registry.checks import Check, Relation

_REASON: Final = "the production checklist binds here and is not met"


def binding(metrics: Mapping[str, Any]) -> list[Check]:
    """One check for each item that binds; accuracy above the largest class has a check of its own."""
    items = _items(metrics)
    if not items:
        return [Check("checklist", None, ">=", 1.0, False, "the production checklist was not computed")]
    return [
        _check(name, item) for name, item in items.items() if item["binds"] and "largest_class" not in name
    ]


def lines(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Every item in words, met or not."""
    return tuple(_line(name, item) for name, item in _items(metrics).items())


def _items(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The list as it was written; empty where it is missing or of another shape."""
    found = metrics.get("checklist")
    if not isinstance(found, Mapping) or not all(_is_item(item) for item in found.values()):
        return {}
    return dict(found)


def _is_item(item: object) -> bool:
    if not isinstance(item, Mapping) or set(item) != {"value", "bound", "passed", "binds"}:
        return False
    bound = str(item["bound"]).split()
    return item["value"] is None or isinstance(item["value"], str) or _is_number(item["value"], bound)


def _is_number(value: object, bound: list[str]) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or len(bound) != 2:
        return False
    return bound[0] in ("<", "<=", ">", ">=") and _parses(bound[1])


def _parses(number: str) -> bool:
    try:
        float(number)
    except ValueError:
        return False
    return True


def _check(name: str, item: Mapping[str, Any]) -> Check:
    """A number against its bound; of a word whether it is the right one."""
    value, passed = item["value"], item["passed"] is True
    if value is None:
        return Check(f"checklist_{name}", None, ">=", None, False, _REASON)
    if isinstance(value, str):
        return Check(f"checklist_{name}", float(passed), ">=", 1.0, passed, _REASON)
    sign, bound = str(item["bound"]).split()
    relation: Relation = ">" if sign == ">" else ">=" if sign == ">=" else "<="
    return Check(f"checklist_{name}", value, relation, float(bound), passed, _REASON)


def _line(name: str, item: Mapping[str, Any]) -> str:
    value = item["value"]
    shown = "not measured" if value is None else value if isinstance(value, str) else f"{value:.4g}"
    verdict = "yes" if item["passed"] else "NO" if item["binds"] else "no, which does not bind here"
    return f"{name.replace('_', ' ')} {shown}, wanted {item['bound']}: {verdict}"
