"""What is measured: each figure's name, meaning, unit and target, and which group measures it.

The targets are meant for an otherwise idle machine of 2 cores. A yardstick says how fast the machine itself
is and has no target.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

#: Groups in the order in which they run; each is a module of this package with a function `measure`.
GROUPS: Final = (
    "yardstick",
    "market",
    "features",
    "experts",
    "env",
    "policy",
    "backtest",
    "serve",
    "pipeline",
)


@dataclass(frozen=True)
class Figure:
    """One name of `results.json`.

    Attributes:
        name: `ROOM.QUANTITY`.
        what: what was done and counted.
        unit: of the number.
        target: bound to meet, None for a yardstick.
        at_least: whether the figure must be at least the target; else at most.
    """

    name: str
    what: str
    unit: str
    target: float | None = None
    at_least: bool = True

    def is_met(self, value: float) -> bool | None:
        """Whether `value` meets the target; None where there is none."""
        if self.target is None:
            return None
        return value >= self.target if self.at_least else value <= self.target


def _least(name: str, target: float, unit: str, what: str) -> Figure:
    return Figure(name, what, unit, target, at_least=True)


def _most(name: str, target: float, unit: str, what: str) -> Figure:
    return Figure(name, what, unit, target, at_least=False)


FIGURES: Final = (
    Figure("yardstick.memcpy_gb_per_s", "numpy copies of 256 MB, bytes copied", "GB/s"),
    Figure("yardstick.http_echo_ms", "a bare BentoML service echoes a number, one client, p50", "ms"),
    Figure("yardstick.lstm_step_cpu_ms", "CPU time of a training step of two Keras LSTM(96) layers", "ms"),
    _least(
        "market.pull_candles_per_s",
        40_000,
        "candles/s",
        "local sandbox -> HTTP -> ccxt -> validation -> store, limiter off, libraries loaded",
    ),
    *(
        Figure(f"market.pull_share_{step}", f"share of that pull's time in which it {does}", "share")
        for step, does in (("fetch", "waits for rows"), ("validate", "judges them"), ("store", "stores them"))
    ),
    _most(
        "market.pull_daily_50_symbols_s",
        20,
        "s",
        "the command `xrl pull` over one new day of 50 symbols, all tables, local sandbox",
    ),
    _most(
        "market.pull_memory_ratio",
        1.2,
        "ratio",
        "peak memory of `xrl pull` over 1200 days of 15m candles of two symbols / over 400 days",
    ),
    _least(
        "features.bars_per_s",
        400_000,
        "bars/s",
        "whole table, 100k bars of one symbol among six, one thread",
    ),
    _least("features.columns", 90, "count", "columns in the table"),
    _least(
        "features.speedup_vs_ta", 30, "ratio", "`ta` time / our time for the columns both have, 100k bars"
    ),
    _most("features.window_ms", 2, "ms", "one serving window of `required_bars`, all columns, among six"),
    _most("features.peak_memory_ratio", 3, "ratio", "peak memory of that build / its output"),
    _most(
        "experts.step_cpu_ratio_vs_lstm",
        0.95,
        "ratio",
        "CPU time of a training step of the 96-wide two-block expert (preset `source`; XLA, chunks of 64 "
        "windows) / two Keras LSTM(96) layers as Keras compiles them; batch 256, 60 x 40, both trained on "
        "the last position alone",
    ),
    _most("experts.onnx_ms", 0.4, "ms", "the same expert in onnxruntime, batch 1, one thread"),
    _most(
        "experts.onnx_slstm_ms",
        1.5,
        "ms",
        "two experts of that width with one sLSTM and one mLSTM block each, one after the other",
    ),
    _most(
        "experts.windows_peak_gb",
        3,
        "GB",
        "an epoch of training over 240k bars, each ending a window of 60 x 90: peak memory above the imports",
    ),
    _least("env.steps_per_s_fused", 3_000_000, "account steps/s", "batched VecEnv, 1,024 accounts, 537 wide"),
    _least(
        "env.steps_per_s_compact",
        8_000_000,
        "account steps/s",
        "the same with projected expert blocks (params.yaml `oof.projection_width`)",
    ),
    _least(
        "env.speedup_vs_scalar", 10, "ratio", "batched fused / scalar Gymnasium environment of the same logic"
    ),
    _least(
        "policy.ppo_share_of_ceiling",
        0.8,
        "share",
        "PPO learn() / forward and backward passes of the same network alone",
    ),
    _least(
        "policy.ppo_speedup_vs_dummy",
        2,
        "ratio",
        "PPO steps/s on our VecEnv / on DummyVecEnv(64) of the scalar environment, same PPO settings",
    ),
    _least(
        "backtest.bars_per_s",
        200_000_000,
        "bars/s",
        "kernel with fees, slippage, funding, liquidation, one core",
    ),
    _most(
        "backtest.walk_forward_s",
        60,
        "s",
        "stages `backtest` and `report`: 6 symbols x 5 years, predictions given",
    ),
    _most("serve.predict_p50_ms", 6, "ms", "HTTP, one client, `required_bars` candles, one symbol, median"),
    _most("serve.predict_p99_ms", 20, "ms", "the same, 99th percentile"),
    _most("serve.predict_20_symbols_ratio", 4, "ratio", "one request of 20 symbols / one of 1"),
    _most("serve.overhead_ratio", 2, "ratio", "predict p50 / (features + models called in process)"),
    _most("serve.reload_s", 2, "s", "promotion in the registry -> answered by the new bundle"),
    _most("pipeline.demo_s", 720, "s", "`make demo` after installation"),
    _most("pipeline.noop_repro_s", 5, "s", "a second `dvc repro`"),
)
BY_NAME: Final[Mapping[str, Figure]] = MappingProxyType({figure.name: figure for figure in FIGURES})
