"""Metrics and tracks that pass every check; tests spoil one figure at a time."""

import copy
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from xrl.registry.bundle import Parity
from xrl.registry.gate import Evidence, Track
from xrl.registry.trials import Tried

#: Nothing was tried beside the candidate.
ALONE = Tried({}, frozenset())


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


GOOD: dict[str, Any] = {
    "prediction": {
        "f1_macro": interval(0.40, 0.39, 0.41),
        "accuracy_minus_majority": interval(0.04, 0.02, 0.06),
        "direction_accuracy": interval(0.54, 0.52, 0.56),
        "ic": interval(0.06, 0.02, 0.09),
        "f1_minus_volatility_only": interval(0.03, 0.01, 0.05),
        "f1_minus_lightgbm": interval(0.002, -0.005, 0.01),
        "ece": 0.02,
        "share_sell": 0.3,
        "share_hold": 0.4,
        "share_buy": 0.3,
        "null_f1": 0.335,
        "null_direction": 0.51,
        "chance_f1": 0.333,
        "start": "2023-07-01T00:00:00+00:00",  # one fold before the first that is traded
        "end": "2025-12-30T04:00:00+00:00",
    },
    "trading": {
        "sharpe": interval(1.6, 0.4, 2.6),
        "sharpe_year": {"2024": 1.9, "2025": 1.4},
        "sharpe_costs_x2": 0.9,
        "max_drawdown": 0.2,
        "liquidations": 0,
    },
    "baselines": {"buy_and_hold": {"sharpe": 0.6}, "random_timing": {"median": -0.8, "p95": 0.5}},
    "folds": [{"fold": 1, "ic": 0.05}, {"fold": 2, "ic": -0.01}, {"fold": 3, "ic": 0.07}],
    "refit": {
        "rank_correlation": 0.7,
        "side_agreement": 0.6,
        "side_share": 0.55,
        "share_sell": 0.3,
        "share_hold": 0.4,
        "share_buy": 0.3,
    },
    "causality": {
        "difference": 0.0,
        "label_difference": 0.0,
        "scaler_difference": 0.0,
        "reaching_labels": 0,
        "other_rows": 0,
    },
    "checklist": {
        "learning_rate": {"value": 0.002, "bound": "<= 0.0001", "passed": False, "binds": False},
        "class_weights": {"value": "balanced", "bound": "on", "passed": True, "binds": True},
        "loss_gap": {"value": 0.02, "bound": "< 0.15", "passed": True, "binds": True},
    },
    "ceiling": None,
    "start": "2024-01-01T00:00:00+00:00",
    "end": "2025-12-31T00:00:00+00:00",
}


def metrics(**changes: object) -> dict[str, Any]:
    """GOOD with some figures replaced; `__` separates the levels: `trading__sharpe__low=-1`."""
    changed = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = changed
        for parent in parents:
            node = node[parent]
        node[last] = value
    return changed


def track(drift: float = 0.0006, days: int = 120, seed: int = 0, skilled: bool = True) -> pd.DataFrame:
    """Two symbols, a bar every 6 hours from 2024-01-01; a committee that is right in half of the bars.

    `drift` is earned a bar: by default a Sharpe ratio that luck alone does not reach in 90 days.
    """
    rng = np.random.default_rng(seed)
    times = pd.date_range("2024-01-01", periods=days * 4, freq="6h", tz="UTC").as_unit("ms")
    frames = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        label = rng.integers(3, size=len(times))
        named = np.where(rng.random(len(times)) < 0.25, label, rng.integers(3, size=len(times)))
        named = named if skilled else np.zeros(len(times), dtype=int)
        probabilities = np.full((len(times), 3), 0.3)
        probabilities[np.arange(len(times)), named] = 0.4
        frames.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "timestamp": times,
                    "committee_sell": probabilities[:, 0],
                    "committee_hold": probabilities[:, 1],
                    "committee_buy": probabilities[:, 2],
                    "label": label.astype(float),
                    "exposure": rng.choice([-1.0, 0.0, 1.0], size=len(times)),
                    "net_return": drift + rng.normal(0, 0.005, size=len(times)),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def known(
    digest: str = "digest-a",
    recipe: str = "recipe-a",
    table: pd.DataFrame | None = None,
    trained_through: str = "2026-01-01",
    label_kind: str = "normalised_percentile",
) -> Track:
    """A bundle as the gate knows it."""
    found = track() if table is None else table
    through = datetime.fromisoformat(trained_through).replace(tzinfo=UTC)
    return Track(digest, recipe, found, through, label_kind)


def evidence(
    champion: Track | None = None,
    challenger: Track | None = None,
    parity: Parity | None = None,
    has_ceiling: bool = True,
    tried: Tried | None = ALONE,
    **changes: object,
) -> Evidence:
    return Evidence(
        challenger=challenger or known(),
        metrics=metrics(**changes),
        parity=parity or Parity(1e-6, 0),
        has_ceiling=has_ceiling,
        champion=champion,
        tried=tried,
    )
