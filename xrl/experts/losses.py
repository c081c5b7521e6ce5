"""What a network is trained to say. Enters: packed targets and outputs of a batch. Leaves: one number.

Targets travel packed along the last axis, so that any number of tasks is one tensor on every backend:

    target of SELL, HOLD, BUY | weight | score | ranks (k) | trained on? | score known? | rank known? (k)

Outputs come packed as logits (3), then score (1), confidence (1), ranks (k) where their weight is above 0.
Sources: Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv:1708.02002, eq. 5; product document
M4.
"""

from typing import Any

import keras
from keras import ops

from xrl.columns import CLASSES
from xrl.presets import Loss

#: Outputs of an expert in the order in which they are packed.
OUTPUTS = ("logits", "score", "confidence", "ranks")
TARGET = slice(0, 3)
WEIGHT = 3
SCORE = 4
RANKS = 5  # first of k
_OPPOSITE = ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0))  # of true class (row) and called class
_TINY = 1e-7


def flags(ranks: int) -> int:
    """First channel of the flags, 0 or 1: trained on, score known, each rank known."""
    return RANKS + ranks


def channels(ranks: int) -> int:
    """Width of a packed target with `ranks` rank targets."""
    return flags(ranks) + 2 + ranks


def focal(target: Any, logits: Any, gamma: float, smoothing: float) -> Any:
    """`sum_c t_c (1 - p_c)^gamma (-log p_c)` with `t = (1 - smoothing) target + smoothing / 3`.

    Args:
        target: (..., 3) class probabilities that are wanted.
        logits: (..., 3).
        gamma: how much less a well-predicted class counts; 0 gives cross-entropy.
        smoothing: share of the target spread evenly over the classes.

    Returns:
        (...).
    """
    wanted = (1.0 - smoothing) * target + smoothing / len(CLASSES)
    log_p = ops.log_softmax(logits, axis=-1)
    terms = -wanted * log_p
    if gamma:
        terms = terms * ops.power(1.0 - ops.exp(log_p) + _TINY, gamma)
    return ops.sum(terms, axis=-1)


def opposition(target: Any, logits: Any) -> Any:
    """Probability given to the direction opposite to the true one; 0 for a true HOLD. (..., 3) -> (...)"""
    against = ops.matmul(target, ops.convert_to_tensor(_OPPOSITE, dtype=target.dtype))
    return ops.sum(against * ops.softmax(logits, axis=-1), axis=-1)


def huber(error: Any) -> Any:
    """Half the square within +-1, linear beyond: a return of many deviations must not rule the batch."""
    size = ops.abs(error)
    return ops.where(size <= 1.0, 0.5 * error * error, size - 0.5)


def sigmoid_cross_entropy(wanted: Any, logit: Any) -> Any:
    """`-wanted log s - (1 - wanted) log(1 - s)` of `s = sigmoid(logit)`, for `wanted` in 0..1."""
    return ops.softplus(logit) - wanted * logit


@keras.saving.register_keras_serializable(package="xrl")
class ExpertLoss(keras.losses.Loss):
    """All tasks of an expert: `L_class + sum of weight x L_task`, each a mean over positions that know it.

    L_class is `alpha focal + directional_penalty opposition`, times the position's weight (class, VSA). The
    return is learned by Huber's loss in units of its volatility; confidence by whether the network's own call
    is right; a rank as the probability of a larger return.

    Args:
        settings: fields of `xrl.presets.Loss`.
    """

    def __init__(self, name: str = "expert_loss", **settings: Any) -> None:
        super().__init__(name=name, reduction="sum")
        self.settings = Loss.model_validate(settings)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.part(y_true, y_pred, self.counts(y_true))

    def counts(self, y_true: Any) -> tuple[Any, Any, Any]:
        """By what the sums of `part` are divided: positions trained on, of known score, known ranks."""
        known = (self._trained(y_true), self._scored(y_true), self._ranked(y_true))
        trained, scored, ranked = (ops.maximum(ops.sum(of), _TINY) for of in known)
        return trained, scored, ranked

    def part(self, y_true: Any, y_pred: Any, counts: tuple[Any, Any, Any]) -> Any:
        """What some windows of a batch add to its loss, given the `counts` of the whole batch."""
        said, ranks = self.settings, self.ranks
        trained = self._trained(y_true)
        target, logits = y_true[..., TARGET], y_pred[..., TARGET]
        terms = said.focal_alpha * focal(target, logits, said.focal_gamma, said.label_smoothing)
        if said.directional_penalty:
            terms = terms + said.directional_penalty * opposition(target, logits)
        loss = ops.sum(terms * y_true[..., WEIGHT] * trained) / counts[0]
        place = len(CLASSES)
        if said.return_weight:
            error = huber(y_pred[..., place] - y_true[..., SCORE])
            loss = loss + said.return_weight * ops.sum(error * self._scored(y_true)) / counts[1]
            place += 1
        if said.confidence_weight:
            right = ops.equal(ops.argmax(logits, axis=-1), ops.argmax(target, axis=-1))
            error = sigmoid_cross_entropy(ops.cast(right, logits.dtype), y_pred[..., place])
            loss = loss + said.confidence_weight * ops.sum(error * trained) / counts[0]
            place += 1
        if said.rank_weight:
            error = sigmoid_cross_entropy(
                y_true[..., RANKS : flags(ranks)], y_pred[..., place : place + ranks]
            )
            loss = loss + said.rank_weight * ops.sum(error * self._ranked(y_true)) / counts[2]
        return loss

    def _trained(self, y_true: Any) -> Any:
        return y_true[..., flags(self.ranks)]  # (batch, positions)

    def _scored(self, y_true: Any) -> Any:
        return self._trained(y_true) * y_true[..., flags(self.ranks) + 1]  # (batch, positions)

    def _ranked(self, y_true: Any) -> Any:
        known = y_true[..., flags(self.ranks) + 2 :]  # (batch, positions, ranks)
        return ops.expand_dims(self._trained(y_true), -1) * known

    @property
    def ranks(self) -> int:
        """Number of rank targets in a packed target."""
        return rank_count(self.settings)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings.model_dump()}


def rank_count(settings: Loss) -> int:
    """How many rank targets the recipe has."""
    return len(settings.rank_horizons) if settings.rank_weight else 0
