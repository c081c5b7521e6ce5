"""Where everything lies: stage outputs inside a checkout (or workspace), data and server state beside it.

Enters: the root folder. Leaves: paths; nothing is created here.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Paths below one checkout or retraining workspace `root`.

    `XRL_DATA_DIR` moves the market store out of the checkout; `dvc.yaml` depends on `data/market/NAME`,
    so a workspace links its `data/market` to the one store.
    """

    root: Path

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def dvc_lock(self) -> Path:
        return self.root / "dvc.lock"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def market(self, name: str) -> Path:
        """Store of one market: `SYMBOL/1h/2024-01.parquet`, `SYMBOL/funding/...` and so on."""
        return Path(os.environ.get("XRL_DATA_DIR", self.data)) / "market" / name

    def quarantine(self, name: str) -> Path:
        return Path(os.environ.get("XRL_DATA_DIR", self.data)) / "quarantine" / name

    def journal(self, name: str) -> Path:
        """What pulls remember of one market beside its rows; outside the store, on which DVC depends."""
        return Path(os.environ.get("XRL_DATA_DIR", self.data)) / "journal" / name

    @property
    def stages(self) -> Path:
        return self.root / "stages"

    def stage(self, name: str) -> Path:
        """Output folder of a DVC stage."""
        return self.stages / name

    # snapshot
    @property
    def bars(self) -> Path:
        return self.stage("snapshot") / "bars.parquet"

    @property
    def snapshot_report(self) -> Path:
        return self.stage("snapshot") / "report.json"

    # features
    @property
    def features(self) -> Path:
        return self.stage("features") / "features.parquet"

    @property
    def feature_spec(self) -> Path:
        return self.stage("features") / "spec.json"

    # labels
    @property
    def labels(self) -> Path:
        return self.stage("labels") / "labels.parquet"

    @property
    def folds(self) -> Path:
        return self.stage("labels") / "folds.json"

    @property
    def label_report(self) -> Path:
        return self.stage("labels") / "report.json"

    # chained logs, beside the market store that all workspaces share
    @property
    def holdout_logs(self) -> Path:
        """Folder of the logs of opened holdouts, one a market."""
        return self.market("any").parent.resolve().parent / "holdout"

    def holdout_log(self, name: str) -> Path:
        return self.holdout_logs / f"{name}.jsonl"

    def ledger(self, model: str) -> Path:
        """Ledger of the recipes that were registered for `model`, e.g. `xrl-planted`."""
        return self.holdout_logs.parent / "ledger" / f"{model}.jsonl"

    @property
    def holdout_labels(self) -> Path:
        return self.stage("holdout") / "labels.parquet"

    @property
    def holdout_opening(self) -> Path:
        return self.stage("holdout") / "opening.json"

    # experts: one folder per fold and expert
    def expert(self, fold: int, expert: str) -> Path:
        return self.stage("experts") / f"{fold}-{expert}"

    # networks of an ensemble that was interrupted: DVC clears a stage's outputs before it runs again
    def checkpoints(self, name: str) -> Path:
        return self.stages / ".checkpoints" / name

    # oof
    @property
    def oof_predictions(self) -> Path:
        return self.stage("oof") / "predictions.parquet"

    @property
    def oof_blocks(self) -> Path:
        return self.stage("oof") / "blocks.npy"

    @property
    def oof_report(self) -> Path:
        return self.stage("oof") / "report.json"

    @property
    def alignment(self) -> Path:
        return self.stage("oof") / "alignment.npz"

    # policy
    def fold_policy(self, fold: int) -> Path:
        return self.stage("policy") / f"fold_{fold}.onnx"

    def fold_policy_scaler(self, fold: int) -> Path:
        return self.stage("policy") / f"scaler_{fold}.json"

    @property
    def policy_report(self) -> Path:
        return self.stage("policy") / "report.json"

    # backtest
    @property
    def metrics(self) -> Path:
        return self.stage("backtest") / "metrics.json"

    @property
    def track(self) -> Path:
        return self.stage("backtest") / "track.parquet"

    @property
    def returns(self) -> Path:
        return self.stage("backtest") / "returns.parquet"

    @property
    def plots(self) -> Path:
        return self.stage("backtest") / "plots"

    # forecast
    @property
    def forecast_report(self) -> Path:
        return self.stage("forecast") / "report.json"

    @property
    def forecast_predictions(self) -> Path:
        return self.stage("forecast") / "predictions.parquet"

    def forecast_file(self, name: str) -> Path:
        """One of the files that a bundle holds of a forecast."""
        return self.stage("forecast") / name

    # refit
    def refit_expert(self, expert: str) -> Path:
        return self.stage("refit") / expert

    @property
    def refit_policy(self) -> Path:
        return self.stage("refit") / "policy.onnx"

    @property
    def refit_policy_scaler(self) -> Path:
        return self.stage("refit") / "scaler_policy.json"

    @property
    def refit_report(self) -> Path:
        return self.stage("refit") / "report.json"

    # bundle
    @property
    def bundle(self) -> Path:
        return self.stage("bundle")
