"""The improvements that the sources name, each as what it changes of a recipe. Leaves: overrides by name."""

from collections.abc import Mapping
from typing import Any, Final

from xrl.presets import Preset

Override = Mapping[str, Mapping[str, Any]]

#: Section -> key -> value, over the preset that is the baseline. Sources: product document M4.
VARIANTS: Final[Mapping[str, Override]] = {
    # loss
    "focal_loss": {"loss": {"focal_gamma": 2.0, "focal_alpha": 0.25}},
    "no_smoothing": {"loss": {"label_smoothing": 0.0}},
    "label_smoothing": {"loss": {"label_smoothing": 0.1}},
    "directional_penalty": {"loss": {"directional_penalty": 0.5}},
    "vsa_weight": {"loss": {"vsa_weight": 0.5}},
    "return_task": {"loss": {"return_weight": 0.5}},
    "confidence_task": {"loss": {"confidence_weight": 0.5}},
    "rank_task": {"loss": {"rank_weight": 0.5}},
    # balance
    "no_class_weights": {"balance": {"class_weights": "none"}},
    "source_class_weights": {"balance": {"class_weights": "source"}},
    "sqrt_class_weights": {"balance": {"class_weights": "sqrt"}},
    "oversampling": {"balance": {"class_weights": "none", "oversample": True}},
    # augmentation
    "mixup": {"augment": {"mixup": 0.2}},
    "time_mask": {"augment": {"time_mask": 0.2}},
    "noise": {"augment": {"noise": 0.01}},
    "feature_dropout": {"augment": {"feature_dropout": 0.1}},
    # schedule
    "warm_up": {"schedule": {"warmup_epochs": 1}},
    "plateau": {"schedule": {"decay": "plateau", "epochs": 8, "average_epochs": 1}},
    "early_stopping": {"schedule": {"epochs": 12, "patience": 3, "average_epochs": 1}},
    "no_averaging": {"schedule": {"average_epochs": 1}},
    # network
    "slstm": {"network": {"blocks": "s"}},
    "slstm_and_mlstm": {"network": {"blocks": "sm"}},
    "two_blocks": {"network": {"blocks": "mm"}},
    "attention": {"network": {"blocks": "mm", "attention": True}},
    "batch_norm": {"network": {"norm": "batch"}},
    "no_residual": {"network": {"residual": False}},
    "feedforward": {"network": {"feedforward": 2.0}},
    "no_stem": {"network": {"stem": False}},
    # curriculum
    "curriculum": {"curriculum": {"epochs": 2}},
    # the sources' recipe, all at once
    "together": {
        "loss": {
            "focal_gamma": 2.0,
            "focal_alpha": 0.25,
            "label_smoothing": 0.1,
            "directional_penalty": 0.5,
            "vsa_weight": 0.5,
            "return_weight": 0.5,
            "confidence_weight": 0.5,
            "rank_weight": 0.5,
        },
        "balance": {"class_weights": "source"},
        "augment": {"mixup": 0.2, "time_mask": 0.2, "noise": 0.01, "feature_dropout": 0.1},
        "schedule": {"warmup_epochs": 1},
        "network": {"blocks": "mm", "attention": True},
        "curriculum": {"epochs": 2},
    },
}
#: The recipe without any of them.
BASELINE: Final = "baseline"


def recipe(base: Preset, override: Override) -> Preset:
    """`base` with the keys of `override` in place of its own.

    Raises:
        pydantic.ValidationError: no such section or key, or a value out of range.
    """
    plain = base.model_dump()
    for section, values in override.items():
        plain[section] = {**plain[section], **values}
    return Preset.model_validate(plain)
