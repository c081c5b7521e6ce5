"""What a rule can ask of a frame. Each check says its bound as text; `expectations` alone judges it."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xrl.market import tables

Severity = Literal["stop", "warn"]


@dataclass(frozen=True)
class Columns:
    """The frame has these columns in this order."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.names)


@dataclass(frozen=True)
class Stored:
    """The column, where there is one, has this dtype."""

    column: str
    dtype: str

    def __str__(self) -> str:
        return self.dtype


@dataclass(frozen=True)
class SomeRows:
    """The frame is not empty."""

    def __str__(self) -> str:
        return "at least one row"


@dataclass(frozen=True)
class There:
    """No value of the column is missing."""

    column: str

    def __str__(self) -> str:
        return "never missing"


@dataclass(frozen=True)
class Finite:
    """No value of the columns is infinite."""

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return "no infinity"


@dataclass(frozen=True)
class Whole:
    """Every value of the column that is there is a whole number."""

    column: str

    def __str__(self) -> str:
        return "no fraction"


@dataclass(frozen=True)
class Within:
    """Values of the column that are there keep `low <= value <= high` and `above < value < below`."""

    column: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        named = (("above", self.above), ("at least", self.low), ("at most", self.high), ("below", self.below))
        bounds = [f"{word} {bound:g}" for word, bound in named if bound is not None]
        return ", ".join(bounds) + (f" {self.unit}" if self.unit else "")


@dataclass(frozen=True)
class NotBelow:
    """Where both are there, `above` is at least `below`."""

    above: str
    below: str

    def __str__(self) -> str:
        return f"{self.above} >= {self.below}"


@dataclass(frozen=True)
class OnGrid:
    """Every time is a multiple of `step` since 1970."""

    column: str
    step: pd.Timedelta

    def __str__(self) -> str:
        name = next(name for name, length in tables.TIMEFRAMES.items() if length == self.step)
        return f"a multiple of {name}"


@dataclass(frozen=True)
class NotRepeated:
    """No row stands in the slot of the row before it."""

    column: str

    def __str__(self) -> str:
        return "one row a slot"


@dataclass(frozen=True)
class Spaced:
    """Between a row and the one before it lie at most `longest` of `unit`."""

    column: str
    longest: float
    unit: str

    def __str__(self) -> str:
        return f"at most {self.longest:g} {self.unit} from row to row"


@dataclass(frozen=True)
class OnSchedule:
    """Two settlements lie one of these times apart, unless one is missing between them."""

    column: str
    hours: tuple[float, ...]

    def __str__(self) -> str:
        return f"{', '.join(f'{hours:g}' for hours in self.hours)} h apart"


@dataclass(frozen=True)
class Moving:
    """Fewer than `rows` equal rows stand in a row."""

    column: str
    rows: int

    def __str__(self) -> str:
        return f"fewer than {self.rows} equal rows in a row"


@dataclass(frozen=True)
class Usual:
    """The move is at most `bound` or `sigmas` times the volatility beside it, whichever is more."""

    column: str
    volatility: str
    bound: float
    sigmas: float

    def __str__(self) -> str:
        return f"at most {self.bound:g}, or {self.sigmas:g} recent volatilities if that is more"


@dataclass(frozen=True)
class FitsPrices:
    """Where both are there, quote volume is volume times a price of low..high, give or take `tolerance`."""

    quote: str
    volume: str
    tolerance: float

    def __str__(self) -> str:
        return f"{self.volume} x low..high, give or take {self.tolerance:.2g} of it"


Check = (
    Columns | Stored | SomeRows | There | Finite | Whole | Within | NotBelow | OnGrid | NotRepeated | Spaced
    | OnSchedule | Moving | Usual | FitsPrices
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One thing that a frame or each of its rows must keep.

    `name` is what error and report call it, `general` what `validation.severity` and docs/validation.md call
    it where `name` says more; `parameters` of `validation` in params.yaml set its bound.
    """

    name: str
    check: Check
    broken_by: str
    severity: Severity = "stop"
    parameters: tuple[str, ...] = ()
    general: str = ""

    @property
    def key(self) -> str:
        return self.general or self.name
