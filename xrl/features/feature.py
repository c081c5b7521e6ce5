"""What is declared of a feature, once, beside its formula. Enters: plain values. Leaves: `Feature`."""

from dataclasses import dataclass
from typing import Final

#: Who reads a column: the two experts, and the policy's observation.
GROUPS: Final = ("pattern", "indicator", "policy")
#: Inputs that may be absent; each has a column `*_available` that tells so, bar by bar.
OPTIONAL_INPUTS: Final = ("taker", "funding", "open_interest", "lead", "market")
#: Bars after which Wilder's averages (14) and exponential ones (up to 26) have forgotten their start to 1e-9
#: of the column's standard deviation; ADX averages an average.
SETTLED: Final = 341
SETTLED_TWICE: Final = 381

_READERS: Final = {"P": "pattern", "I": "indicator", "O": "policy"}


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    Attributes:
        name: column name.
        groups: who reads it, of `GROUPS`.
        unit: unit or range of the unscaled value.
        window: bars of history, the bar itself included, that fix the value to 1e-9 of its deviation.
        warmup: leading bars of a history whose value is NaN.
        nan: what stands where the definition fails or the input is absent.
        inputs: what it is made of: price, volume, calendar or `OPTIONAL_INPUTS`; of a user's feature the
            columns of `columns.BAR`.
        formula: where the definition comes from.
        flag: column that tells whether its optional input was there; empty where nothing is optional.
    """

    name: str
    groups: frozenset[str]
    unit: str
    window: int
    warmup: int
    nan: str
    inputs: tuple[str, ...]
    formula: str
    flag: str

    @property
    def source(self) -> str:
        """The optional input it hangs on; empty if it needs none."""
        return self.flag.removesuffix(AVAILABLE)

    def as_dict(self) -> dict[str, object]:
        """JSON form, groups in the order of `GROUPS`."""
        groups = [group for group in GROUPS if group in self.groups]
        return {**self.__dict__, "groups": groups, "inputs": list(self.inputs)}


#: How the flag of an optional input ends.
AVAILABLE: Final = "_available"


def declare(
    name: str, readers: str, unit: str, reach: tuple[int, int], nan: str, formula: str, inputs: str = "price"
) -> Feature:
    """A built-in feature.

    Args:
        name: of the column.
        readers: letters: P pattern expert, I indicator expert, O observation of the policy.
        unit: unit or range of the unscaled value.
        reach: `window` and `warmup`.
        nan: what stands where the definition fails.
        formula: where the definition comes from.
        inputs: comma-separated.
    """
    parts = tuple(inputs.split(", "))
    optional = [part for part in parts if part in OPTIONAL_INPUTS]
    flag = optional[0] + AVAILABLE if optional else ""
    groups = frozenset(_READERS[letter] for letter in readers)
    return Feature(name, groups, unit, *reach, nan, parts, formula, flag)
