"""Embeddings of different trainings brought into one space, and projected. Pure numpy.

Enters: embeddings and probabilities. Leaves: matrices (256, width) so that `block = embedding @ matrix`.
Every training has its own basis; an orthogonal Procrustes rotation, fitted on bars that both trainings
predicted, maps it onto the first fold's. Source: Schoenemann 1966, "A generalized solution of the orthogonal
Procrustes problem".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError

Array = NDArray[np.float64]

#: Leading block columns that say what the class logits say: log P(BUY)/P(SELL), and HOLD against both.
CONTRASTS = 2
#: (classes, contrasts): what they are of log-probabilities.
OF_LOGARITHMS = np.array([[-1.0, -0.5], [0.0, 1.0], [1.0, -0.5]])
_LEAST = 1e-9  # probability that a logarithm is taken of
_PULL = 0.1  # of the mean square of a direction
_RIDGE = 1e-4  # of the embeddings' mean square
_PROBE_RIDGE = 1e-2


class Probe(NamedTuple):
    """How well a linear reader fitted on one fold reads the next fold's embeddings, as correlations."""

    aligned: float
    unaligned: float


def procrustes(source: Array, target: Array) -> Array:
    """The rotation R that minimises `|source @ R - target|`, near the identity where the bars leave it open.

    Directions that hardly vary say nothing about how to turn, yet a reader may weigh them heavily. Trainings
    from one seed share most of their basis, so such directions are pulled towards not turning at all.

    Args:
        source: (rows, width) embeddings of the training to map.
        target: (rows, width) embeddings of the first fold for the same bars.

    Returns:
        (width, width), orthogonal.

    Raises:
        DataError: shapes differ or there is no row.
    """
    if source.shape != target.shape or not len(source):
        raise DataError(f"alignment needs the same bars twice; received {source.shape} and {target.shape}")
    width = source.shape[1]
    pull = _PULL * float((target**2).sum()) / width
    u, _, vt = np.linalg.svd(source.T @ target + pull * np.eye(width))
    return np.asarray(u @ vt)


def onto(source: Array, source_contrasts: Array, target: Array, target_contrasts: Array) -> Array:
    """The map into another network's space under which both say their class logits alike.

    Two seeds share no basis, so a plain rotation would turn one network's logits partly into the other's
    noise. Here the contrasts are carried over exactly and only what lies beside them is rotated.

    Args:
        source: (rows, width) embeddings of the network to map.
        source_contrasts: (width, 2) its own `contrasts`.
        target: (rows, width) embeddings of the other network for the same bars.
        target_contrasts: (width, 2) the other's.

    Returns:
        (width, width): `source @ found @ target_contrasts == source @ source_contrasts`.
    """
    back = np.linalg.pinv(target_contrasts)  # (2, width)
    beside_target = np.eye(target.shape[1]) - target_contrasts @ back
    beside_source = np.eye(source.shape[1]) - source_contrasts @ np.linalg.pinv(source_contrasts)
    rotation = procrustes(source @ beside_source, target @ beside_target)
    return np.asarray(source_contrasts @ back + beside_source @ rotation @ beside_target)


def contrasts(embedding: Array, probabilities: Array) -> Array:
    """Directions along which an expert's own embedding holds its class logits.

    Logits are linear in the embedding, so a regression of log-probability contrasts finds them; bias and the
    directions that no bar uses stay out.

    Args:
        embedding: (rows, width).
        probabilities: (rows, 3) of the same bars, temperature applied.

    Returns:
        (width, 2): `embedding @ c` is log P(BUY) - log P(SELL), and log P(HOLD) less the mean of the others,
        each but for a constant.
    """
    return _ridge(embedding, log_contrasts(probabilities), _RIDGE)[0]


def log_contrasts(probabilities: Array) -> Array:
    """log P(BUY) - log P(SELL), and log P(HOLD) less the mean of the others. (rows, 3) -> (rows, 2)"""
    return np.asarray(np.log(np.clip(probabilities, _LEAST, 1.0)) @ OF_LOGARITHMS)


def complement(embedding: Array, directions: Array, count: int) -> Array:
    """The `count` directions of largest variance that are orthogonal to `directions`.

    Args:
        embedding: (rows, width) of the first fold.
        directions: (width, k) already used.
        count: columns wanted.

    Returns:
        (width, count), orthonormal; signs fixed so that each column's largest entry is positive.
    """
    used, _ = np.linalg.qr(directions)
    centred = embedding - embedding.mean(axis=0)
    rest = centred - centred @ used @ used.T
    _, vectors = np.linalg.eigh(rest.T @ rest)
    chosen = vectors[:, ::-1][:, :count]
    sign = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(count)])
    return np.asarray(chosen * sign)


def probe(first: Array, first_target: Array, second: Array, raw: Array, second_target: Array) -> Probe:
    """Fit a linear reader of class logits on one fold's aligned embeddings and let it read the next fold's.

    Args:
        first: (rows, width) aligned embeddings of fold k.
        first_target: (rows,) its log P(BUY) - log P(SELL).
        second: (rows', width) aligned embeddings of fold k+1.
        raw: (rows', width) the same before alignment.
        second_target: (rows',) what fold k+1's own head says.
    """
    weights, bias = _ridge(first, first_target[:, None], _PROBE_RIDGE)
    read = [float(np.corrcoef((x @ weights + bias)[:, 0], second_target)[0, 1]) for x in (second, raw)]
    return Probe(*read)


def _ridge(x: Array, y: Array, strength: float) -> tuple[Array, Array]:
    """Ridge regression with an unpenalised constant: weights (width, k) and bias (k,)."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    xc = x - x_mean
    penalty = strength * (xc**2).mean() * len(x)
    weights = np.linalg.solve(xc.T @ xc + penalty * np.eye(x.shape[1]), xc.T @ (y - y_mean))
    return weights, y_mean - x_mean @ weights
