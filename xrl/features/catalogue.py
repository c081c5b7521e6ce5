"""The table of features as people read it. Enters: declarations. Leaves: rows, docs/features.md."""

from collections.abc import Sequence
from typing import Final

from xrl.errors import DataError
from xrl.features.feature import GROUPS, Feature

#: What is printed of a feature.
HEADINGS: Final = (
    *("column", "read by", "inputs", "unit", "window", "warm-up", "where undefined or absent", "formula"),
)
_LETTERS: Final = {"pattern": "P", "indicator": "I", "policy": "O"}

#: Between these lines of the page stands the table; what is around it is written by hand.
_BEGIN: Final = "<!-- columns: written by `xrl features list --page` -->\n"
_END: Final = "<!-- end of columns -->\n"


def rows(features: Sequence[Feature]) -> list[tuple[str, ...]]:
    """One row a feature, in the order of `HEADINGS`."""
    return [
        (
            feature.name,
            "".join(_LETTERS[group] for group in GROUPS if group in feature.groups),
            ", ".join(feature.inputs),
            feature.unit,
            str(feature.window),
            str(feature.warmup),
            feature.nan,
            feature.formula,
        )
        for feature in features
    ]


def page(written: str, features: Sequence[Feature]) -> str:
    """The page `written` with the table of `features` in its place.

    Raises:
        DataError: the page has no place for it.
    """
    before, begin, rest = written.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise DataError(
            f"docs/features.md has no lines {_BEGIN.strip()!r} and {_END.strip()!r} to write between"
        )
    cells = ([f"`{name}`", *others] for name, *others in rows(features))
    lines = (_line(HEADINGS), _line(["---"] * len(HEADINGS)), *map(_line, cells))
    return f"{before}{begin}{len(features)} columns.\n\n" + "\n".join(lines) + f"\n{end}{after}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
