"""Whether a candidate's days were opened as a holdout before. Told beside a decision; it binds nothing.

Enters: the log of openings, a bundle's lineage. Leaves: sentences. The gate judges the walk-forward track,
which ends before the holdout; what an earlier opening spoils is what is measured on the held-out days.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from xrl.errors import DataError
from xrl.labels.openings import Days, Opening, seen_before

#: How a note begins that nobody may overlook.
LOUD: Final = "!!! "


def notes(folder: Path, lineage: Mapping[str, Any], recipe: str) -> tuple[str, ...]:
    """One sentence for each earlier opening of days that the candidate holds out, or learned from.

    Args:
        folder: of the logs of openings.
        lineage: of the candidate's bundle.
        recipe: the candidate's.
    """
    held, data = lineage.get("holdout"), lineage["data"]
    history = Days(lineage["market"], data["first"], data["last"], None)
    try:
        earlier = seen_before(folder, history)
        own = () if held is None else seen_before(folder, Days(lineage["market"], **held))
    except DataError as error:
        return (f"{LOUD}nobody knows which days were opened before: {error}",)
    known = [_of_history(old) for old in earlier if old not in own]
    return (*(_of_holdout(old, recipe) for old in own), *known)


def _of_holdout(old: Opening, recipe: str) -> str:
    if old.recipe == recipe:
        return f"its holdout was opened before, by this very recipe: {old.sentence()}"
    return (
        f"{LOUD}USED HOLDOUT: days of it were opened before and the recipe was changed since, so nothing "
        f"that is measured there is a test of the unseen: {old.sentence()}"
    )


def _of_history(old: Opening) -> str:
    return f"its history holds days that were opened as a holdout before: {old.sentence()}"
