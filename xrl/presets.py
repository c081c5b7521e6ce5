"""Named training recipes of an expert: network, loss, balance, augmentation, schedule, curriculum.

Enters: a preset's name and what a user sets otherwise. Leaves: one frozen, typed `Preset`. Every improvement
is a key here, so it can be switched, searched and measured alone. Sources: product document M4 to M6.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(_Part):
    """Shape of an expert; widths in units, dropouts as shares."""

    architecture: Literal["xlstm", "lstm", "cnn_lstm", "transformer"] = "xlstm"
    blocks: str = Field(default="m", pattern=r"^[ms]+$")  # in order, m: mLSTM, s: sLSTM; others: their number
    units: int = Field(default=32, gt=0)
    memory_size: int = Field(default=32, gt=0)  # queries and keys of an mLSTM, over all heads
    heads: int = Field(default=2, gt=0)
    feedforward: float = Field(default=0.0, ge=0)  # width of what follows a block, in units; 0: none
    attention: bool = False  # causal self-attention between blocks
    norm: Literal["layer", "batch"] = "layer"
    residual: bool = True
    stem: bool = True  # a linear path of the newest bar beside the memory
    dropout: float = Field(default=0.4, ge=0, lt=1)
    dropout_mask: Literal["bar", "window"] = "bar"  # drawn anew for each bar, or once for a whole window
    input_dropout: float = Field(default=0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        for name in ("units", "memory_size"):
            if getattr(self, name) % self.heads:
                raise ValueError(f"`{name}` must be a multiple of heads={self.heads}")
        return self


class Loss(_Part):
    """What a network is trained to say; a weight of 0 leaves a part out."""

    focal_gamma: float = Field(default=0.0, ge=0)  # 0: cross-entropy
    focal_alpha: float = Field(default=1.0, gt=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    directional_penalty: float = Field(default=0.0, ge=0)  # extra cost of the opposite direction
    vsa_weight: float = Field(default=0.0, ge=0, lt=1)  # by how much a bar counts less that volume denies
    return_weight: float = Field(default=0.0, ge=0)  # task: the forward return in units of its volatility
    confidence_weight: float = Field(default=0.0, ge=0)  # task: whether the own call will be right
    rank_weight: float = Field(default=0.0, ge=0)  # task: ranks of the returns over `rank_horizons`
    rank_horizons: tuple[int, ...] = (6, 12, 20, 48)  # bars


class Balance(_Part):
    """What is done about classes of unequal size."""

    class_weights: Literal["balanced", "sqrt", "effective", "source", "none"] = "balanced"
    oversample: bool = False  # windows of the rarest class are shown as often as those of the largest


class Augment(_Part):
    """What training inputs are altered by; 0 leaves a part out."""

    mixup: float = Field(default=0.0, ge=0)  # alpha of Beta(alpha, alpha)
    time_mask: float = Field(default=0.0, ge=0, lt=1)  # longest share of a window that is blanked
    noise: float = Field(default=0.0, ge=0)  # deviation, in units of the scaled column
    feature_dropout: float = Field(default=0.0, ge=0, lt=1)  # share of columns blanked for a whole window


class Schedule(_Part):
    """How long and how fast is learned. A batch counts windows."""

    epochs: int = Field(default=3, gt=0)
    batch: int = Field(default=16, gt=0)
    learning_rate: float = Field(default=2e-3, gt=0)
    min_learning_rate: float = Field(default=0.0, ge=0)
    weight_decay: float = Field(default=2.0, ge=0)  # Keras multiplies it by the learning rate
    warmup_epochs: int = Field(default=0, ge=0)
    decay: Literal["cosine", "plateau"] = "cosine"
    plateau_patience: int = Field(default=3, gt=0)  # epochs without a better validation loss; then halved
    positions: Literal["every", "last"] = "every"  # of a window, whose classes are learned
    hop: int = Field(default=40, gt=0)  # bars between the starts of neighbouring training windows
    context: int = Field(default=20, ge=0)  # bars of a window that are read but not trained on
    average_epochs: int = Field(default=2, gt=0)  # last epochs whose weights are averaged
    patience: int | None = Field(default=None, gt=0)  # epochs without a better validation F1; None: no stop
    validation_bars: int | None = Field(default=None, gt=0)  # newest held-out bars looked at; None: all


class Curriculum(_Part):
    """Easy bars first: training begins with the share of clearest outcomes, and all are in after `epochs`."""

    epochs: int = Field(default=0, ge=0)  # 0: none
    first_share: float = Field(default=0.5, gt=0, le=1)


class Preset(_Part):
    """A whole training recipe."""

    network: Network = Network()
    loss: Loss = Loss()
    balance: Balance = Balance()
    augment: Augment = Augment()
    schedule: Schedule = Schedule()
    curriculum: Curriculum = Curriculum()

    def over(self, epochs: int) -> Self:
        """The same recipe over a fixed number of epochs."""
        return self.model_copy(update={"schedule": self.schedule.model_copy(update={"epochs": epochs})})

    @property
    def needs_targets(self) -> bool:
        """Whether more must be known of a training bar than its class (`xrl.experts.targets`)."""
        said = self.loss
        return bool(said.vsa_weight or said.return_weight or said.rank_weight or self.curriculum.epochs)


#: The network of the sources' first text, on xLSTM blocks.
_SOURCE_NETWORK = Network(
    blocks="mm",
    units=96,
    memory_size=48,
    heads=2,
    feedforward=2.0,
    stem=False,
    dropout=0.2,
    dropout_mask="window",
    input_dropout=0.0,
)
_PRODUCTION_LOSS = Loss(focal_alpha=0.25, focal_gamma=2.0, label_smoothing=0.1)


def _production(
    *,
    rate: float,
    batch: int,
    decay: float,
    epochs: int,
    dropout: float,
    gamma: float,
    mixup: float,
    **more: Any,
) -> Preset:
    """A preset of the table in product document M6; warm-up, cosine and weights are M4's."""
    return Preset(
        network=_SOURCE_NETWORK.model_copy(update={"dropout": dropout}),
        loss=_PRODUCTION_LOSS.model_copy(
            update={"focal_gamma": gamma, "label_smoothing": more.get("smoothing", 0.1)}
        ),
        balance=Balance(class_weights="source"),
        augment=Augment(mixup=mixup),
        schedule=Schedule(
            epochs=epochs,
            batch=batch,
            learning_rate=rate,
            min_learning_rate=1e-6,
            weight_decay=decay,
            warmup_epochs=5,
            positions="last",
            hop=1,  # every bar is a sample, as in the sources: hopped windows would leave one batch an epoch
            average_epochs=1,
            patience=more.get("patience", 15),
            validation_bars=10_000,
        ),
    )


#: `lean`: the measured recipe, with the input dropout and the weight decay that did best on the planted
#: world. `source`: the first source text's. The other four: product document M6.
PRESETS: Mapping[str, Preset] = {
    "lean": Preset(),
    "source": Preset(
        network=_SOURCE_NETWORK,
        schedule=Schedule(
            epochs=50,
            batch=64,
            learning_rate=5e-4,
            weight_decay=0.01,
            positions="last",  # one class a window, as in the text; each bar comes up every eighth epoch
            hop=8,
            average_epochs=1,
            patience=7,
        ),
    ),
    "production_small": _production(
        rate=5e-5, batch=256, decay=0.01, epochs=150, dropout=0.4, gamma=2.5, mixup=0.2
    ),
    "production_large": _production(
        rate=1e-4, batch=128, decay=0.005, epochs=100, dropout=0.3, gamma=2.0, mixup=0.1, smoothing=0.05
    ),
    "quick_experiment": _production(
        rate=1e-4, batch=128, decay=0.01, epochs=30, dropout=0.2, gamma=2.0, mixup=0.0, patience=10
    ),
    "conservative": _production(
        rate=3e-5, batch=256, decay=0.02, epochs=100, dropout=0.5, gamma=3.0, mixup=0.2, smoothing=0.15
    ),
}


def chosen(name: str, otherwise: Mapping[str, Mapping[str, Any]]) -> Preset:
    """The preset `name` with the keys of `otherwise` in place of its own.

    Args:
        name: a key of `PRESETS`.
        otherwise: section -> key -> value, e.g. `{"loss": {"focal_gamma": 2.0}}`.

    Raises:
        ValueError: no such preset, section or key, or a value out of range.
    """
    if name not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}; received {name!r}")
    plain = PRESETS[name].model_dump()
    for section, values in otherwise.items():
        if section not in plain:
            raise ValueError(f"`set` knows the sections {', '.join(plain)}; received {section!r}")
        plain[section] |= values
    return Preset.model_validate(plain)
