"""The bounded space of recipes that a search looks through. Enters: a trial. Leaves: a preset's override."""

from typing import Any, Protocol

from xrl.study.variants import Override


class Trial(Protocol):
    """What suggests values; `optuna.Trial` is one."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


def suggested(trial: Trial) -> Override:
    """A recipe small enough to train in seconds a fold; widths, rates and weights within an order or two."""
    number, whole, among = trial.suggest_float, trial.suggest_int, trial.suggest_categorical
    units = among("network.units", [16, 32, 64])
    epochs = whole("schedule.epochs", 2, 6)
    return {
        "network": {
            "blocks": among("network.blocks", ["m", "mm", "s", "sm"]),
            "units": units,
            "memory_size": units,
            "stem": among("network.stem", [True, False]),
            "dropout": number("network.dropout", 0.1, 0.6),
            "input_dropout": number("network.input_dropout", 0.0, 0.4),
        },
        "loss": {
            "focal_gamma": among("loss.focal_gamma", [0.0, 1.0, 2.0]),
            "label_smoothing": number("loss.label_smoothing", 0.0, 0.15),
            "return_weight": among("loss.return_weight", [0.0, 0.5]),
            "rank_weight": among("loss.rank_weight", [0.0, 0.25, 0.5, 1.0]),
        },
        "balance": {"class_weights": among("balance.class_weights", ["balanced", "sqrt", "none"])},
        "augment": {
            "mixup": among("augment.mixup", [0.0, 0.2]),
            "noise": number("augment.noise", 0.0, 0.05),
            "feature_dropout": number("augment.feature_dropout", 0.0, 0.3),
        },
        "schedule": {
            "epochs": epochs,
            "average_epochs": min(2, epochs),
            "batch": among("schedule.batch", [16, 32, 64]),
            "learning_rate": number("schedule.learning_rate", 5e-4, 8e-3, log=True),
            "weight_decay": number("schedule.weight_decay", 0.01, 5.0, log=True),
        },
    }
