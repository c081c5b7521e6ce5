"""Columns on one scale, fitted on training bars alone. Enters: matrices. Leaves: float32 matrices, JSON.

Center and scale are median and quartiles: a market's tails drift far more from year to year than its middle,
and a crash in the training span would widen a standard deviation for everything that follows. The clip bounds
what an extreme that training never saw can do to a network.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError

#: Interquartile range of a standard normal: dividing by it makes the scale comparable to a standard
#: deviation.
NORMAL_IQR = 1.3489795003921634
#: Scaled values are cut off here.
CLIP = 5.0
#: A spread below this share of the largest magnitude is rounding: the column counts as constant.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Scaler:
    """`clip((x - center) / scale)`, column by column.

    Attributes:
        columns: names, in order.
        center: training medians.
        scale: robust deviations: IQR / 1.349; the standard deviation where the quartiles coincide (flags); 1
            for a constant column.
        clip: bound of the scaled values.
    """

    columns: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float

    def transform(self, matrix: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale `matrix` (rows, len(columns)); NaN stays NaN, infinities meet the clip.

        Raises:
            DataError: another number of columns.
        """
        if matrix.shape[-1] != len(self.columns):
            raise DataError(
                f"this scaler holds {len(self.columns)} columns; received a matrix of shape {matrix.shape}. "
                "Select the scaler's `columns` in its order."
            )
        scaled = (matrix - np.array(self.center)) / np.array(self.scale)
        return np.asarray(np.clip(scaled, -self.clip, self.clip), dtype=np.float32)

    def to_json(self) -> str:
        """JSON text from which `from_json` restores an equal scaler."""
        return json.dumps(
            {"columns": self.columns, "center": self.center, "scale": self.scale, "clip": self.clip}, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore from `to_json`.

        Raises:
            DataError: the text is no scaler.
        """
        try:
            found = json.loads(text)
            scaler = cls(
                columns=tuple(str(name) for name in found["columns"]),
                center=tuple(float(value) for value in found["center"]),
                scale=tuple(float(value) for value in found["scale"]),
                clip=float(found["clip"]),
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not a scaler: {error!r}; expected JSON with columns, center, scale, clip"
            ) from error
        if not len(scaler.columns) == len(scaler.center) == len(scaler.scale):
            raise DataError(f"scaler lists of unequal length: {len(scaler.columns)} columns; fit it again")
        return scaler


def fit(matrix: NDArray[np.floating], columns: Sequence[str]) -> Scaler:
    """Fit on training bars.

    Args:
        matrix: (bars, len(columns)), unscaled; rows with NaN (warm-up) are ignored column by column.
        columns: names, in order.

    Raises:
        DataError: shapes differ, or a column has no finite value.
    """
    if matrix.ndim != 2 or matrix.shape[1] != len(columns):
        raise DataError(f"expected a matrix (bars, {len(columns)}); received shape {matrix.shape}")
    empty = [name for name, known in zip(columns, np.isfinite(matrix).any(axis=0)) if not known]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(columns)} columns have no finite training value, first `{empty[0]}`; "
            "the training span lies within the warm-up: pull more days"
        )
    center, scale = zip(*(_robust(matrix[:, j]) for j in range(len(columns))))
    return Scaler(tuple(columns), center, scale, CLIP)


def _robust(column: NDArray[np.floating]) -> tuple[float, float]:
    """Center and scale of one column's finite values."""
    values = column[np.isfinite(column)].astype(np.float64)
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    rounding = ROUNDING * np.abs(values).max()
    if high - low > rounding:
        return float(median), float((high - low) / NORMAL_IQR)
    deviation = float(values.std())
    return float(median), deviation if deviation > rounding else 1.0
