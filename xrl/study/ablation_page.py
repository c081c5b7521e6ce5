"""An ablation as a page to read. Enters: figures of every recipe. Leaves: Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from xrl.study.page import interval, number, table, tested
from xrl.study.variants import BASELINE, Override

Found = Mapping[str, Any]

_PAIRED = (
    ("F1 macro", "f1_macro", 4),
    ("direction", "direction_accuracy", 4),
    ("IC within years", "ic_within_year", 4),
    ("log-loss", "log_loss", 5),
)


def markdown(found: Mapping[str, Found], chosen: Mapping[str, Override], about: str, command: str) -> str:
    """The page: what each improvement changes, alone and together.

    Args:
        found: figures by recipe, the baseline among them.
        chosen: what each recipe changes.
        about: sentences on data, folds, seeds and preset.
        command: that writes this page.
    """
    base = found[BASELINE]
    return "\n".join(
        [
            "# Ablation: what each improvement changes",
            "",
            f"{about} Each row changes the baseline in the one way its name says; *together* is the sources' "
            "recipe, all at once. Brackets are 95 % intervals of the weekly block bootstrap, paired on the "
            "same bars, folds and seeds; a log-loss below zero is better. With so many rows, one in twenty "
            "stands apart from zero by luck alone. The last fold is not among those measured.",
            "",
            "```bash",
            command,
            "```",
            "",
            f"Baseline: F1 macro {interval(base['f1_macro'], 3)}, of which without direction "
            f"{number(base['f1_volatility_only'])}; direction {interval(base['direction_accuracy'], 3)}; IC "
            f"within years {interval(base['ic_within_year'], 3)}; log-loss {interval(base['log_loss'], 4)}.",
            "",
            *table(
                [
                    "variant",
                    "what it sets",
                    "F1",
                    "without direction",
                    *(f"{title}, difference" for title, _, _ in _PAIRED),
                ],
                [_row(name, own, chosen[name]) for name, own in found.items() if name != BASELINE],
            ),
            "",
        ]
    )


def _row(name: str, own: Found, override: Override) -> Sequence[str]:
    return [
        name.replace("_", " "),
        "everything of the sources" if name == "together" else _settings(override),
        number(own["f1_macro"]["value"]),
        number(own["f1_volatility_only"]),
        *(tested(own["paired"][key], digits) for _, key, digits in _PAIRED),
    ]


def _settings(override: Override) -> str:
    return ", ".join(
        f"`{section}.{key}: {str(value).lower() if isinstance(value, bool) else value}`"
        for section, values in override.items()
        for key, value in values.items()
    )
