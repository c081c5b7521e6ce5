"""Focal loss with label smoothing and class weights. Enters: classes, logits. Leaves: a loss per position.

Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv:1708.02002, eq. 5.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from xrl.columns import CLASSES


@keras.saving.register_keras_serializable(package="xrl")
class FocalLoss(keras.losses.Loss):
    """`alpha w_y sum_c t_c (1 - p_c)^gamma (-log p_c)` with `t = (1 - smoothing) onehot(y) + smoothing / 3`.

    Averaged over positions by their sample weights: unlabelled positions (weight 0) count for nothing.

    Args:
        gamma: how much less a well-predicted class counts; 0 gives cross-entropy.
        alpha: factor on the whole loss.
        smoothing: share of the target spread evenly over the classes.
        weights: w of SELL, HOLD, BUY.
    """

    def __init__(
        self,
        gamma: float = 0.0,
        alpha: float = 1.0,
        smoothing: float = 0.0,
        weights: Sequence[float] = (1.0, 1.0, 1.0),
        name: str = "focal_loss",
        reduction: str = "mean_with_sample_weight",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.gamma, self.alpha, self.smoothing = gamma, alpha, smoothing
        self.weights = tuple(float(weight) for weight in weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        onehot = ops.one_hot(ops.cast(y_true, "int32"), len(CLASSES))  # (..., 3)
        target = (1.0 - self.smoothing) * onehot + self.smoothing / len(CLASSES)
        log_p = ops.log_softmax(y_pred, axis=-1)
        terms = -target * log_p
        if self.gamma:
            terms = terms * ops.power(1.0 - ops.exp(log_p) + 1e-7, self.gamma)
        weight = ops.matmul(onehot, ops.convert_to_tensor(self.weights, dtype=onehot.dtype))
        return self.alpha * weight * ops.sum(terms, axis=-1)  # (...)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "alpha": self.alpha,
            "smoothing": self.smoothing,
            "weights": self.weights,
        }
