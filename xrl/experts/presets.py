"""Named training recipes. Enters: a preset's name. Leaves: architecture and schedule as frozen values."""

from dataclasses import dataclass, replace

from xrl.config import ExpertParams


@dataclass(frozen=True)
class Architecture:
    """Shape of an expert; widths in units, dropouts as shares."""

    units: int
    memory_size: int
    heads: int
    blocks: int
    feedforward: float  # SwiGLU width as a multiple of units; 0: none
    dropout: float
    input_dropout: float


@dataclass(frozen=True)
class Schedule:
    """How an expert is trained. A batch counts windows; each trains every position from `context` on."""

    epochs: int
    batch: int
    learning_rate: float  # start of the cosine
    weight_decay: float
    hop: int  # bars between the starts of neighbouring training windows
    context: int  # bars of a window that are read but not trained on
    average_epochs: int  # the last epochs whose weights are averaged
    patience: int | None  # epochs without a better validation F1 before stopping; None: never stop early


@dataclass(frozen=True)
class Preset:
    architecture: Architecture
    schedule: Schedule


#: `lean`: the measured recipe of docs/evaluation, with the input dropout and the weight decay (which Keras
#: multiplies by the learning rate) that did best on the planted world. `source`: the first source text's, on
#: mLSTM blocks.
PRESETS = {
    "lean": Preset(
        Architecture(
            units=32, memory_size=32, heads=2, blocks=1, feedforward=0.0, dropout=0.4, input_dropout=0.2
        ),
        Schedule(
            epochs=3,
            batch=16,
            learning_rate=2e-3,
            weight_decay=2.0,
            hop=40,
            context=20,
            average_epochs=2,
            patience=None,
        ),
    ),
    "source": Preset(
        Architecture(
            units=96, memory_size=48, heads=2, blocks=2, feedforward=2.0, dropout=0.2, input_dropout=0.0
        ),
        Schedule(
            epochs=50,
            batch=64,
            learning_rate=5e-4,
            weight_decay=0.01,
            hop=40,
            context=20,
            average_epochs=1,
            patience=7,
        ),
    ),
}


def preset(params: ExpertParams) -> Preset:
    """The preset that `experts.preset` names, with `experts.epochs` in place of its own where given."""
    chosen = PRESETS[params.preset]
    if params.epochs is None:
        return chosen
    return replace(chosen, schedule=replace(chosen.schedule, epochs=params.epochs))
