"""Stage `oof`: the folds' out-of-fold predictions stitched into one table, their embeddings in one space.

Reads stages/experts and stages/labels. Writes stages/oof/{predictions.parquet, blocks.npy, alignment.npz,
report.json}, each aside and renamed.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config, OofParams
from xrl.errors import DataError
from xrl.evaluation.committee import Vote, vote
from xrl.experts import alignment
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json

log = logging.getLogger(__name__)

KEYS = [columns.SYMBOL, columns.TIMESTAMP]
COMMITTEE = "committee"
_CLASSES = list(columns.CLASSES)


def run(config: Config, paths: Paths) -> None:
    """Stitch, align, project and write.

    Raises:
        DataError: an expert's predictions are missing, or two folds predicted the same bar.
    """
    laid, _ = folds.load(paths.folds)
    numbers = [fold.index for fold in laid]
    tables = {(k, e): read_predictions(paths, k, e) for k in numbers for e in config.oof.committee}
    symbols = pd.read_parquet(paths.labels, columns=[columns.SYMBOL])[columns.SYMBOL].unique()
    stitched = stitch(tables, numbers, list(symbols), config.oof.shares)
    matrices = {(k, e): fold_matrix(tables, k, e, config.oof) for k, e in tables}
    blocks = _blocks(stitched, tables, matrices, config.oof)
    with aside(paths.oof_predictions) as place:
        stitched.to_parquet(place, index=False)
    with aside(paths.oof_blocks) as place:
        np.save(place, blocks)
    with aside(paths.alignment) as place:
        named = {f"{k}_{e}": matrix.astype(np.float32) for (k, e), matrix in matrices.items()}
        np.savez(place, allow_pickle=False, **named)
    probes = {e: _probes(tables, numbers, e) for e in columns.EXPERTS}
    spans = stitched.groupby(columns.FOLD)[columns.TIMESTAMP].agg(["min", "max", "size"])
    rows = {str(k): {"rows": int(n), "first": str(a), "last": str(b)} for k, a, b, n in spans.itertuples()}
    write_json(
        paths.oof_report,
        {
            "observation": config.oof.observation,
            "shares": config.oof.shares,
            "block_width": blocks.shape[1],
            "folds": rows,
            "probe": probes,
        },
    )
    log.info("%d out-of-fold bars, blocks %d wide, probes %s", len(stitched), blocks.shape[1], probes)


def read_predictions(paths: Paths, fold: int, expert: str) -> pd.DataFrame:
    """Predictions of one expert of one fold.

    Raises:
        DataError: the member has not run.
    """
    path = paths.expert(fold, expert) / "predictions.parquet"
    if not path.is_file():
        raise DataError(f"no predictions at {path}; run `xrl experts --fold {fold} --expert {expert}`")
    return pd.read_parquet(path)


def stitch(
    tables: Mapping[tuple[int, str], pd.DataFrame],
    numbers: Sequence[int],
    symbols: Sequence[str],
    shares: Mapping[str, float],
) -> pd.DataFrame:
    """One row per test bar that every expert predicted, sorted by symbol, then time.

    Args:
        tables: predictions by fold and expert.
        numbers: folds.
        symbols: in the order wanted.
        shares: the experts, in order, and their shares of the committee's mean.

    Returns:
        symbol, timestamp, fold, then sell, hold, buy and uncertainty of each expert and of the committee.

    Raises:
        DataError: a bar was predicted by two folds.
    """
    parts = []
    for fold in numbers:
        own = [
            test_rows(tables[fold, expert])[[*KEYS, *_CLASSES, columns.UNCERTAINTY]].rename(
                columns=_renaming(expert)
            )
            for expert in shares
        ]
        common = reduce(lambda one, other: one.merge(other, on=KEYS, validate="one_to_one"), own)
        common.insert(len(KEYS), columns.FOLD, fold)
        parts.append(common)
    stitched = pd.concat(parts, ignore_index=True)
    twice = stitched.duplicated(KEYS)
    if twice.any():
        where = stitched.loc[twice.idxmax()]
        raise DataError(
            f"{int(twice.sum())} bars were predicted by two folds, first {where[columns.SYMBOL]} "
            f"{where[columns.TIMESTAMP]}; the folds changed: run `xrl experts` for every fold again"
        )
    voted = vote({expert: said(stitched, expert) for expert in shares}, shares)
    stitched[list(columns.probability_columns(COMMITTEE))] = voted.probabilities
    stitched[columns.uncertainty_column(COMMITTEE)] = voted.uncertainty
    order = stitched[columns.SYMBOL].map({symbol: place for place, symbol in enumerate(symbols)})
    by = order.to_frame("place").assign(time=stitched[columns.TIMESTAMP])
    return stitched.loc[by.sort_values(["place", "time"]).index].reset_index(drop=True)


def said(stitched: pd.DataFrame, model: str) -> Vote:
    """What an expert, or the committee, says in a table of stitched predictions."""
    probabilities = stitched[list(columns.probability_columns(model))].to_numpy(np.float64)  # (rows, 3)
    return Vote(probabilities, stitched[columns.uncertainty_column(model)].to_numpy(np.float64))


def fold_matrix(
    tables: Mapping[tuple[int, str], pd.DataFrame], fold: int, expert: str, params: OofParams
) -> NDArray[np.float64]:
    """The matrix (256, width) of one fold's expert: `block = embedding @ matrix`."""
    return expert_matrix(expert, tables[0, expert], tables[fold, expert], params)


def expert_matrix(
    expert: str, first: pd.DataFrame, other: pd.DataFrame, params: OofParams
) -> NDArray[np.float64]:
    """`alignment_matrix` for networks; the boosted expert's two contrasts mean the same in every training."""
    if expert == columns.BOOSTED:
        return np.eye(alignment.CONTRASTS)
    return alignment_matrix(first, other, params)


def alignment_matrix(
    first: pd.DataFrame, other: pd.DataFrame, params: OofParams, own_role: str = "test"
) -> NDArray[np.float64]:
    """Map one training's embeddings into the first fold's space, and project as `oof` says.

    The projected block begins with the training's own class-logit contrasts, which mean the same in every
    training; the rest are principal directions of the first fold's embeddings, reached through the rotation.

    Args:
        first: fold 0's predictions.
        other: the predictions of the training to map; the same bars bear role `align`.
        params: section `oof`.
        own_role: role of the rows by which the contrasts are read off.

    Returns:
        (256, 256) for fused, and for probabilities (whose block is they themselves); else (256, width).
    """
    rotation = alignment.procrustes(embeddings(other, "align"), embeddings(first, "align"))
    if params.observation != "projected":
        return rotation
    own = alignment.contrasts(embeddings(other, own_role), probabilities(other, own_role))
    base = embeddings(first, "test")
    base_contrasts = alignment.contrasts(base, probabilities(first, "test"))
    rest = alignment.complement(base, base_contrasts, params.projection_width - alignment.CONTRASTS)
    return np.concatenate([own, rotation @ rest], axis=1)[:, : params.projection_width]


def embeddings(table: pd.DataFrame, role: str) -> NDArray[np.float64]:
    """(rows, 256) embeddings of the rows with `role`, in table order."""
    names = [name for name in table.columns if name[0] == "e" and name[1:].isdigit()]
    return np.asarray(table.loc[table["role"] == role, names].to_numpy(np.float64))


def probabilities(table: pd.DataFrame, role: str) -> NDArray[np.float64]:
    """(rows, 3) probabilities of the rows with `role`, in table order."""
    return np.asarray(table.loc[table["role"] == role, _CLASSES].to_numpy(np.float64))


def test_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows predicted as test bars, renumbered."""
    return table[table["role"] == "test"].reset_index(drop=True)


def _renaming(expert: str) -> dict[str, str]:
    own = dict(zip(columns.CLASSES, columns.probability_columns(expert)))
    return {**own, columns.UNCERTAINTY: columns.uncertainty_column(expert)}


def _blocks(
    stitched: pd.DataFrame,
    tables: Mapping[tuple[int, str], pd.DataFrame],
    matrices: Mapping[tuple[int, str], NDArray[np.float64]],
    params: OofParams,
) -> NDArray[np.float32]:
    """Expert blocks in the order of `stitched`: those of pattern, indicator and, if it votes, boosted."""
    found = []
    for expert in params.committee:
        if params.observation == "probabilities":
            found.append(stitched[list(columns.probability_columns(expert))].to_numpy(np.float32))
            continue
        parts = []
        for (fold, name), table in tables.items():
            if name == expert:
                values = embeddings(table, "test") @ matrices[fold, expert]
                keys = test_rows(table)[KEYS]
                parts.append(pd.concat([keys, pd.DataFrame(values.astype(np.float32))], axis=1))
        joined = stitched[KEYS].merge(pd.concat(parts, ignore_index=True), on=KEYS, how="left")
        found.append(joined.drop(columns=KEYS).to_numpy(np.float32))
    return np.concatenate(found, axis=1)


def _probes(
    tables: Mapping[tuple[int, str], pd.DataFrame], numbers: Sequence[int], expert: str
) -> dict[str, dict[str, float]]:
    """Fold k's linear reader on fold k+1, before and after alignment, as correlations with k+1's own head."""
    found = {}
    raw = {k: embeddings(tables[k, expert], "test") for k in numbers}
    odds = {k: _odds(probabilities(tables[k, expert], "test")) for k in numbers}
    base = embeddings(tables[0, expert], "align")
    rotated = {
        k: raw[k] @ alignment.procrustes(embeddings(tables[k, expert], "align"), base) for k in numbers
    }
    for k in numbers[:-1]:
        read = alignment.probe(rotated[k], odds[k], rotated[k + 1], raw[k + 1], odds[k + 1])
        found[f"{k}->{k + 1}"] = {"aligned": read.aligned, "unaligned": read.unaligned}
    return found


def _odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(p[:, columns.BUY] / p[:, columns.SELL]))
