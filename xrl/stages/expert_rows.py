"""What the experts' stages read: one expert's columns of every bar, with labels in the same order.

Enters: stages/features and stages/labels. Leaves: rows, masks and classes.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import ConfigError, DataError
from xrl.experts.windows import Rows, positions, window_ends
from xrl.features import scaling
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.labels.classes import classes
from xrl.labels.folds import Fold, Refit
from xrl.paths import Paths

#: Bars common to every fold's and the refit's predictions, by which embeddings are aligned.
ALIGN_ROWS = 2000
_ALIGN_SEED = 0


@dataclass(frozen=True)
class ExpertRows:
    """Bars of all symbols as one expert sees them, sorted by symbol, then time.

    Attributes:
        labels: symbol, timestamp, forward_return, volatility, score, label_end, horizon_end of every row.
        names: the expert's feature columns, in order.
        matrix: (rows, columns) unscaled features.
        position: (rows,) place within the unbroken run, -1 in warm-up.
    """

    labels: pd.DataFrame
    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    position: NDArray[np.int64]

    def scaled(self, span: Fold | Refit) -> tuple[Rows, Scaler]:
        """All rows scaled by the span's training bars and labelled by its cut-offs, and the scaler."""
        scaler = scaling.fit(self.matrix[self.training(span)], self.names)
        return Rows(scaler.transform(self.matrix), self.position, self.classes(span)), scaler

    def training(self, span: Fold | Refit) -> NDArray[np.bool_]:
        """Bars that train `span`: label known by its end, features finite. (rows,)"""
        return folds.train_mask(self.labels, span) & (self.position >= 0)

    def testing(self, fold: Fold, window: int) -> NDArray[np.int64]:
        """Row numbers of the fold's test bars that end an unbroken window."""
        return np.flatnonzero(folds.test_mask(self.labels, fold) & window_ends(self.position, window))

    def classes(self, span: Fold | Refit) -> NDArray[np.int8]:
        """Classes by the span's cut-offs; HOLD stands where the score is unknown, which no mask asks for."""
        found = classes(self.labels, span)
        return np.where(found == columns.UNKNOWN, np.int8(columns.HOLD), found)


def read_rows(paths: Paths, expert: str) -> ExpertRows:
    """Read the columns that `expert` reads, and the labels; the boosted one reads what any other reads.

    Raises:
        ConfigError: no such expert.
        DataError: a stage has not run, or features and labels are of different bars.
    """
    if expert not in columns.VOTERS:
        raise ConfigError(f"`--expert` must be one of {columns.VOTERS}; received {expert!r}")
    return read_groups(paths, columns.EXPERTS if expert == columns.BOOSTED else (expert,))


def read_groups(paths: Paths, groups: Sequence[str]) -> ExpertRows:
    """Read the columns that any expert of `groups` reads, and the labels.

    Raises:
        DataError: a stage has not run, or features and labels are of different bars.
    """
    for path, stage in (
        (paths.features, "features"),
        (paths.feature_spec, "features"),
        (paths.labels, "labels"),
    ):
        if not path.is_file():
            raise DataError(f"no {path.name} at {path}; run `xrl {stage}`")
    spec = json.loads(paths.feature_spec.read_text())
    names = tuple(str(column["name"]) for column in spec["columns"] if set(groups) & {*column["groups"]})
    keys = [columns.SYMBOL, columns.TIMESTAMP]
    features = pd.read_parquet(paths.features, columns=[*keys, *names])
    labels = pd.read_parquet(paths.labels)
    if not features[keys].equals(labels[keys]):
        raise DataError(
            "features and labels are of different bars; run `xrl features` and `xrl labels` again"
        )
    matrix = features[list(names)].to_numpy(np.float64)
    codes = pd.factorize(features[columns.SYMBOL])[0].astype(np.int64)
    time_ms = features[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
    return ExpertRows(labels, names, matrix, positions(codes, time_ms, np.isfinite(matrix).all(axis=1)))


def alignment_rows(rows: ExpertRows, first: Fold, window: int) -> NDArray[np.int64]:
    """A fixed sample of fold 0's test bars, the same for every fold and the refit. (<= 2000,) ascending."""
    candidates = rows.testing(first, window)
    chosen = np.random.default_rng(_ALIGN_SEED).permutation(len(candidates))[:ALIGN_ROWS]
    return np.sort(candidates[chosen])


def split_tail(
    rows: ExpertRows, training: NDArray[np.bool_], share: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Training bars as (those to learn from, the last `share` of them, for calibration).

    Purged: a bar to learn from has its label known before the first calibration bar opens.
    """
    time = rows.labels[columns.TIMESTAMP]
    opens = time[training].sort_values()
    if opens.empty:
        raise DataError("no training bar has finite features and a matured label; pull more days")
    boundary = opens.iloc[min(int(len(opens) * (1.0 - share)), len(opens) - 1)]
    known = (rows.labels[columns.HORIZON_END] <= boundary).to_numpy(dtype=bool)
    return training & known, training & (time >= boundary).to_numpy(dtype=bool)


def signature(labels: pd.DataFrame, mask: NDArray[np.bool_]) -> dict[str, object]:
    """What tells a set of bars from any other: written beside a model, for who checks what it learned from.

    Args:
        labels: symbol, timestamp, label_end of all rows.
        mask: (rows,) the bars meant.

    Returns:
        `rows`: how many; `last_label_end`: when the last of their labels is known, ISO 8601, None of no bar;
        `keys`: SHA-256 hex over each symbol and the opens of its bars, in the order of `labels`.
    """
    own = labels[mask]
    found = hashlib.sha256()
    for symbol, rows in own.groupby(columns.SYMBOL, sort=False):
        opens = rows[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")
        found.update(f"{symbol} {len(rows)}\n".encode())
        found.update(opens.astype("<i8").tobytes())
    last = own[columns.LABEL_END].max()
    told = None if pd.isna(last) else last.isoformat()
    return {"rows": len(own), "last_label_end": told, "keys": found.hexdigest()}
