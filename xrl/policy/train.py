"""Training of the fused policy: cloned from a threshold rule, refined by PPO, one network per seed.

Enters: market tensors of training bars, parameters, trading terms. Leaves: the ensemble and a report. One
thread, CPU, reproducible for given seeds.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from xrl.account.step import Terms
from xrl.config import PolicyParams
from xrl.env.market import MarketTensor
from xrl.env.observation import ACCOUNT_WIDTH, REGIME_WIDTH, observation_width
from xrl.env.vec_env import BatchedEnv
from xrl.errors import TrainingError
from xrl.policy.clone import clone, demonstrate
from xrl.policy.fused import Actor, FusedPolicy, Reading, Standardise
from xrl.policy.sb3_env import AccountsVecEnv
from xrl.policy.teacher import Choice, Teacher, fit_teacher, market_inputs

log = logging.getLogger(__name__)


class FittedPolicy(NamedTuple):
    """The ensemble and what its training said."""

    policy: FusedPolicy
    report: dict[str, Any]


def fit_policy(
    tensors: Sequence[MarketTensor],
    params: PolicyParams,
    terms: Terms,
    horizon_bars: int,
    choice: Choice | None = None,
) -> FittedPolicy:
    """Train one network per seed on `tensors` and join them.

    Args:
        tensors: training bars alone, with out-of-fold blocks.
        params: section `policy`.
        terms: costs and margin of the accounts.
        horizon_bars: of the labels; the teacher's horizon.
        choice: the teacher's penalty and threshold where they are given; None: chosen on `tensors`.

    Raises:
        TrainingError: too few bars, an input or a network's weight that is no number.
    """
    shortest = min((len(tensor) for tensor in tensors), default=0)
    if shortest <= 4 * horizon_bars:
        raise TrainingError(
            f"the policy needs more than {4 * horizon_bars} bars of every symbol; received {shortest}. "
            "Widen `snapshot.days` or lower the number of folds."
        )
    unknown = [tensor.symbol for tensor in tensors if not np.isfinite(market_inputs(tensor)).all()]
    if unknown:
        raise TrainingError(
            f"the policy's inputs must be finite; {', '.join(unknown)} has a block or feature that is not. "
            "Run `xrl oof` again and look at its report."
        )
    torch.set_num_threads(1)
    started = time.perf_counter()
    teacher = fit_teacher(tensors, terms, horizon_bars, choice)
    log.info(
        "teacher: %s",
        f"threshold {teacher.threshold:.3f}" if teacher.trades else "flat, nothing earns its costs",
    )
    actors, seeds = [], []
    for seed in params.seeds:
        actor, report = _fit_seed(tensors, params, terms, teacher, seed)
        actors.append(actor)
        seeds.append({"seed": seed, **report})
    width = observation_width(tensors[0].block.shape[1])
    taught = {"teacher_trades": teacher.trades, "teacher": teacher.choice._asdict()}
    report = {**taught, "seeds": seeds, "seconds": time.perf_counter() - started}
    return FittedPolicy(FusedPolicy(actors, width), report)


def _fit_seed(
    tensors: Sequence[MarketTensor], params: PolicyParams, terms: Terms, teacher: Teacher, seed: int
) -> tuple[Actor, dict[str, Any]]:
    sigma = float(np.mean([tensor.volatility.mean() for tensor in tensors]))
    env = BatchedEnv(tensors, terms, params.accounts, params.episode_bars, seed, reward_scale=0.2 / sigma)
    model = _new_model(AccountsVecEnv(env), tensors, params, teacher, seed)
    try:
        report = _learn(model, env, params, teacher, seed)
    except ValueError as error:  # torch's distributions refuse logits that are not numbers
        raise _diverged(seed, params) from error
    if not all(bool(torch.isfinite(weight).all()) for weight in model.policy.parameters()):
        raise _diverged(seed, params)
    return Actor(model.policy).eval(), report


def _learn(
    model: PPO, env: BatchedEnv, params: PolicyParams, teacher: Teacher, seed: int
) -> dict[str, float]:
    shown = demonstrate(teacher, env, params.clone_steps, params.gamma, seed)
    entropy = clone(
        model.policy, shown, params.clone_epochs, params.clone_batch, params.clone_learning_rate, seed
    )
    log.info("seed %d: cloned, cross-entropy %.3f", seed, entropy)
    if params.timesteps:
        model.learn(params.timesteps, callback=_Progress(seed, params.timesteps))
    return {"clone_cross_entropy": entropy}


def _diverged(seed: int, params: PolicyParams) -> TrainingError:
    return TrainingError(
        f"policy seed {seed} diverged: its weights are not finite. Lower `policy.learning_rate` (now "
        f"{params.learning_rate}) or `policy.clone_learning_rate` (now {params.clone_learning_rate})."
    )


def _new_model(
    env: AccountsVecEnv, tensors: Sequence[MarketTensor], params: PolicyParams, teacher: Teacher, seed: int
) -> PPO:
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=params.rollout_bars,
        batch_size=params.batch,
        n_epochs=params.update_epochs,
        learning_rate=params.learning_rate,
        gamma=params.gamma,
        ent_coef=params.entropy,
        clip_range=params.clip,
        target_kl=params.target_kl,
        seed=seed,
        device="cpu",
        policy_kwargs={
            "net_arch": list(params.hidden),
            "activation_fn": torch.nn.Tanh,
            "features_extractor_class": Standardise,
            "features_extractor_kwargs": {"reading": _reading(tensors, teacher)},
        },
    )
    model.set_logger(Logger(folder=None, output_formats=[]))  # its own would leave a folder behind in /tmp
    return model


def _reading(tensors: Sequence[MarketTensor], teacher: Teacher) -> Reading:
    """Mean and standard deviation of every input over training bars; account inputs stay as they are."""
    inputs = np.concatenate([market_inputs(tensor) for tensor in tensors]).astype(np.float64)
    center, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    edge = teacher.weights * scale
    edge = edge / max(float(((inputs - center) / scale @ edge).std()), 1e-9)
    before = inputs.shape[1] - REGIME_WIDTH  # the account stands between market and regime
    return Reading(
        *(
            np.insert(values, [before] * ACCOUNT_WIDTH, neutral).astype(np.float32)
            for values, neutral in ((center, 0.0), (scale, 1.0), (edge, 0.0))
        )
    )


class _Progress(BaseCallback):
    """Logs the mean reward of each fifth of the training."""

    def __init__(self, seed: int, total: int) -> None:
        super().__init__()
        self._seed, self._total, self._logged = seed, total, 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        fifth = int(5 * self.num_timesteps / self._total)
        if fifth > self._logged:
            self._logged = fifth
            reward = float(self.model.rollout_buffer.rewards.mean())
            log.info(
                "seed %d: %d of %d steps, mean reward %.4f",
                self._seed,
                self.num_timesteps,
                self._total,
                reward,
            )
