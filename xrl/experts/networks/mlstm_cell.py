"""mLSTM cell: a matrix memory with exponential gates, in three forms of the same value.

`mlstm` reads every step at once and trains, `mlstm_newest` reads the last step alone and serves, `mlstm_step`
goes on from a state and streams. keras.ops only. Source: Beck et al. 2024, "xLSTM: Extended Long Short-Term
Memory", arXiv:2405.04517, eqs. 19-27; the parallel form is its appendix A.3.
"""

import math
from typing import Any, NamedTuple

from keras import ops

_NEVER = -1e30  # exponent of a masked entry: exp gives 0 and a zero gradient, where -inf would give NaN
_LARGEST_EXPONENT = 80.0  # exp(80) is the last comfortable float32
_GRID = 256.0
_EPS = 1e-6


class MLSTMState(NamedTuple):
    """What an mLSTM remembers after a step.

    The stabiliser m is kept as a multiple of 1/256 and a remainder below it, so that float32 adds to it
    without error.
    """

    memory: Any  # C: (batch, heads, key width, value width)
    normaliser: Any  # n: (batch, heads, key width)
    coarse: Any  # of m: (batch, heads)
    fine: Any  # of m: (batch, heads)


def mlstm(q: Any, k: Any, v: Any, i: Any, f: Any) -> Any:
    """Memory read-outs from zero state, every time step at once.

    With `F = cumsum(log sigmoid f)`, `g = i - F` and `G = running max g`, the weight of step j at step t is
    `D_tj = exp(g_j - G_t)` for j <= t, and `h_t = (C v)_t / (max(|sum_j C_tj|, exp(-F_t - G_t)) + eps)` where
    `C = (q k' / sqrt(d)) D`. The value does not depend on G, which only keeps exponents small, so its
    gradient is cut; F stays attached, or the gradient of f is silently wrong. Long sums cancel in
    `g_j - G_t`, so each is split into a coarse part, which float32 adds without error up to 65,536, and a
    fine one.

    Args:
        q, k: (batch, heads, time, key width).
        v: (batch, heads, time, value width).
        i, f: (batch, heads, time) pre-activations of input and forget gate.

    Returns:
        (batch, heads, time, value width), before head norm and output gate.
    """
    length = int(q.shape[2])
    (coarse_f, fine_f), (coarse_i, fine_i) = _split(-ops.softplus(-f)), _split(i)
    past = ops.tril(ops.ones((length, length)))  # (time, time)
    coarse_sum, fine_sum = _running_sum(coarse_f, past), _running_sum(fine_f, past)  # F: (batch, heads, time)
    coarse_g, fine_g = coarse_i - coarse_sum, fine_i - fine_sum
    largest = ops.stop_gradient(running_max(coarse_g + fine_g))  # G: (batch, heads, time)
    exponent = ops.expand_dims(coarse_g, 2) - ops.expand_dims(largest, 3) + ops.expand_dims(fine_g, 2)
    exponent = ops.where(past > 0, exponent, _NEVER)
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(int(q.shape[-1]))
    weights = scores * ops.exp(exponent)  # C: (batch, heads, time, time)
    floor = ops.exp(ops.minimum(-(coarse_sum + largest) - fine_sum, _LARGEST_EXPONENT))
    total = ops.maximum(ops.abs(ops.sum(weights, axis=-1)), floor) + _EPS
    return ops.matmul(weights, v) / ops.expand_dims(total, -1)  # (batch, heads, time, value width)


def mlstm_newest(scores: Any, x: Any, i: Any, f: Any) -> Any:
    """The last step of `mlstm` alone, for values linear in `x`: `sum_j w_j (x_j V) = (sum_j w_j x_j) V`.

    Every exponent is a sum of terms of one sign, so none cancels.

    Args:
        scores: (batch, heads, time) products of the last query with each key, over sqrt(d).
        x: (batch, time, units) what values are made of.
        i, f: (batch, heads, time) pre-activations of input and forget gate.

    Returns:
        (batch, heads, units), to be multiplied by each head's V.
    """
    length = int(x.shape[1])
    later = ops.tril(ops.ones((length, length)), k=-1)  # [s, j] is 1 for s > j
    exponent = ops.matmul(-ops.softplus(-f), later) + i  # (batch, heads, time)
    largest = ops.stop_gradient(ops.max(exponent, axis=-1, keepdims=True))  # m: (batch, heads, 1)
    weights = scores * ops.exp(exponent - largest)
    floor = ops.exp(ops.minimum(-largest, _LARGEST_EXPONENT))
    total = ops.maximum(ops.abs(ops.sum(weights, axis=-1, keepdims=True)), floor) + _EPS
    return ops.matmul(weights, x) / total


def mlstm_start(batch: int, heads: int, key_width: int, value_width: int) -> MLSTMState:
    """The state before the first step: nothing remembered, a stabiliser below every gate."""
    return MLSTMState(
        ops.zeros((batch, heads, key_width, value_width)),
        ops.zeros((batch, heads, key_width)),
        ops.full((batch, heads), _NEVER),
        ops.zeros((batch, heads)),
    )


def mlstm_step(state: MLSTMState, q: Any, k: Any, v: Any, i: Any, f: Any) -> tuple[Any, MLSTMState]:
    """One step of the recurrent form; after step t from the start it equals row t of `mlstm`.

    Args:
        state: after the step before.
        q, k: (batch, heads, key width).
        v: (batch, heads, value width).
        i, f: (batch, heads) pre-activations.

    Returns:
        (batch, heads, value width) and the state to go on from.
    """
    (coarse_f, fine_f), (coarse_i, fine_i) = _split(-ops.softplus(-f)), _split(i)
    old_coarse, old_fine = state.coarse + coarse_f, state.fine + fine_f
    old_wins = old_coarse + old_fine > coarse_i + fine_i
    coarse, fine = ops.where(old_wins, old_coarse, coarse_i), ops.where(old_wins, old_fine, fine_i)
    kept = ops.exp((old_coarse - coarse) + (old_fine - fine))[..., None]
    entered = ops.exp((coarse_i - coarse) + (fine_i - fine))[..., None]
    memory = kept[..., None] * state.memory + (entered * k)[..., None] * v[..., None, :]
    normaliser = kept * state.normaliser + entered * k
    q = q / math.sqrt(int(q.shape[-1]))
    read = ops.sum(q[..., None] * memory, axis=-2)  # (batch, heads, value width)
    floor = ops.exp(ops.minimum(-coarse - fine, _LARGEST_EXPONENT))
    total = ops.maximum(ops.abs(ops.sum(q * normaliser, axis=-1)), floor) + _EPS
    carried, fine = _split(fine)
    return read / total[..., None], MLSTMState(memory, normaliser, coarse + carried, fine)


def running_max(x: Any) -> Any:
    """Largest value so far along the last axis, by log2(length) shifted maxima.

    Args:
        x: (..., time); the length must be static.

    Returns:
        (..., time), `out[t] = max(x[0], ..., x[t])`.
    """
    length = int(x.shape[-1])
    shift = 1
    while shift < length:
        earlier = ops.concatenate([ops.full_like(x[..., :shift], _NEVER), x[..., :-shift]], axis=-1)
        x = ops.maximum(x, earlier)
        shift *= 2
    return x


def _running_sum(x: Any, past: Any) -> Any:
    """Sums so far along the last axis, as a product with the lower triangle: XLA's cumsum is quadratic."""
    return ops.matmul(x, ops.transpose(past))


def _split(x: Any) -> tuple[Any, Any]:
    """`x` as (multiple of 1/256 without a gradient, remainder in [0, 1/256) with all of it)."""
    coarse = ops.stop_gradient(ops.floor(x * _GRID) / _GRID)
    return coarse, x - coarse
