"""params.yaml and the environment as frozen, typed values. Unknown keys are refused; no secret enters here.

Enters: the text of params.yaml, the process environment. Leaves: `Config` (one section per stage) and
`Settings` (where the servers are).
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from xrl import columns, presets
from xrl.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


Venue = Literal["binance", "bybit", "okx"]


class MarketParams(_Section):
    """Which market a run is about. `name` is the store's folder and the registered model's suffix."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    source: Literal["sandbox", "live"]
    venue: Venue
    world: Literal["planted", "random_walk", "replay"] | None
    world_seed: int
    symbols: tuple[str, ...] = Field(min_length=1)
    timeframe: Literal["1h"]

    @model_validator(mode="after")
    def _world_fits_source(self) -> Self:
        if (self.source == "sandbox") != (self.world is not None):
            raise ValueError("`world` names a sandbox world and is null for `source: live`")
        return self

    @property
    def model_name(self) -> str:
        """Name in the model registry, e.g. `xrl-random-walk`."""
        return model_name(self.name)


def market_name(venue: Venue, world: str | None) -> str:
    """Folder of the store of a sandbox world, or of the live venue for None: `binance_perp`, `planted`,
    `okx_planted`.
    """
    if world is None:
        return f"{venue}_perp"
    return world if venue == "binance" else f"{venue}_{world}"


def chosen_venue(name: str | None, config: "Config") -> Venue:
    """The venue called `name`; params.yaml's for None.

    Raises:
        ConfigError: no such venue.
    """
    if name is None:
        return config.market.venue
    for venue in get_args(Venue):
        if name == venue:
            return cast(Venue, venue)
    raise ConfigError(f"`--venue` must be one of {', '.join(get_args(Venue))}; received {name!r}")


def model_name(market: str) -> str:
    """Name in the model registry of a market's model, `random_walk` -> `xrl-random-walk`."""
    return "xrl-" + market.replace("_", "-")


class PullParams(_Section):
    """How a pull talks to the venue; no stage depends on it."""

    connections: int = Field(ge=1, le=32)
    settle_s: float = Field(ge=0)
    overlap_bars: int = Field(ge=0)
    refills: int = Field(ge=0)
    batch_rows: int = Field(ge=1000)


class ValidationParams(_Section):
    """Bounds and severities of the rules that every batch must meet; no stage depends on it.

    Moves are |log ratios|. Each rule on a price lets it move by its own bound or by `sigmas` recent
    volatilities, whichever is more.
    """

    severity: dict[str, Literal["stop", "warn"]]
    sigmas: float = Field(gt=0)
    max_jump: float = Field(gt=0)
    max_gap: float = Field(gt=0)
    max_spike: float = Field(gt=0)
    max_wick: float = Field(gt=0)
    max_venue_gap: float = Field(gt=0)
    max_open_interest_jump: float = Field(gt=0)
    max_volume_ratio: float = Field(gt=1)
    quote_tolerance: float = Field(ge=0, lt=1)
    frozen_warn_bars: int = Field(ge=2)
    frozen_stop_bars: int = Field(ge=2)
    quiet_warn_hours: float = Field(gt=0)
    quiet_stop_hours: float = Field(gt=0)
    max_funding_rate: float = Field(gt=0)
    warn_history_days: float = Field(ge=0)
    min_history_days: float = Field(ge=0)


class SnapshotParams(_Section):
    as_of: datetime
    days: int = Field(gt=0)
    min_days: int
    warn_days: int


class ContextParams(_Section):
    """Other symbols that a symbol's features are made of; they must be among `market.symbols`."""

    lead: str | None = Field(default=..., min_length=1)
    market: tuple[str, ...]


class ExtraFeature(_Section):
    """A user's column: an indicator of the library `ta`, or a function of the user's own.

    `ta` names module and class, `output` the class's method; `function` is `module:function` and is called
    with a dict of the `inputs`, each (n,) float64, and with `params`. `window` and `warmup` are checked.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    ta: str | None = Field(default=None, pattern=r"^[a-z]+\.[A-Za-z]+$")
    output: str | None = None  # of `ta` alone
    function: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    inputs: tuple[str, ...] = Field(min_length=1)
    params: dict[str, bool | int | float | str] = {}
    group: Literal["pattern", "indicator", "both"]
    window: int = Field(gt=0)
    warmup: int = Field(ge=0)
    relative: Literal["close", "atr"] | None = None  # of a price: its distance to the close

    @model_validator(mode="after")
    def _names_one_definition(self) -> Self:
        if (self.ta is None) == (self.function is None) or (self.ta is None) != (self.output is None):
            raise ValueError("a feature needs `ta` with `output`, or `function` alone")
        if self.warmup >= self.window:
            raise ValueError("`warmup` must be below `window`: the first value needs warmup + 1 bars")
        return self


class FeatureParams(_Section):
    min_coverage: float = Field(ge=0, le=1)
    volume_window: int = Field(gt=1, le=240)
    climax_volume_ratio: float
    climax_close_position: float = Field(ge=0.5, le=1)
    narrow_spread: float
    narrow_volume_ratio: float
    test_volume_ratio: float
    level_volume_ratio: float
    level_distance_atr: float = Field(ge=0)
    context: ContextParams
    extra: tuple[ExtraFeature, ...]

    @model_validator(mode="after")
    def _extra_names_differ(self) -> Self:
        extra = [feature.name for feature in self.extra]
        if len(set(extra)) != len(extra):
            raise ValueError(f"`extra` names a feature twice: {sorted(extra)}")
        return self


LabelKind = Literal[
    "normalised_percentile", "adaptive", "adaptive_filtered", "raw_percentile", "triple_barrier"
]


class LabelParams(_Section):
    """What a bar is called, and which bars learn and test; the definitions stand in `xrl.labels.outcomes`."""

    kind: LabelKind
    horizon_bars: int = Field(gt=0)
    volatility_window: int = Field(gt=2)
    percentiles: tuple[float, float]
    raw_percentiles: tuple[float, float]
    threshold_multiplier: float = Field(gt=0)
    hold_below_percentile: float = Field(gt=0, lt=1)
    barrier: float = Field(gt=0)
    barrier_unit: Literal["sigma", "percent"]
    folds: tuple[int, ...] = Field(min_length=2)
    scheme: Literal["anchored", "rolling"]
    first_train_share: float = Field(gt=0, lt=1)
    train_days: int | None = Field(default=..., gt=0)
    cadence_days: int | None = Field(default=..., gt=0)
    embargo_bars: int = Field(ge=0)
    holdout_days: int = Field(ge=0)
    max_hold_share: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _folds_are_counted(self) -> Self:
        if self.folds != tuple(range(len(self.folds))):
            raise ValueError(f"`folds` must count up from 0, e.g. [0, 1, 2]; received {list(self.folds)}")
        return self

    @model_validator(mode="after")
    def _scheme_has_its_span(self) -> Self:
        if (self.scheme == "rolling") != (self.train_days is not None):
            raise ValueError(
                "`train_days` is the span of `scheme: rolling` and null for `anchored`; received "
                f"{self.train_days} with {self.scheme}"
            )
        return self

    @model_validator(mode="after")
    def _barrier_leaves_a_price(self) -> Self:
        if self.barrier_unit == "percent" and self.barrier >= 100:
            raise ValueError(f"`barrier` in percent must be below 100; received {self.barrier}")
        return self


class ExpertParams(_Section):
    """How the networks of an expert are trained: every recipe of `members` with every one of `seeds`."""

    preset: str
    override: dict[str, dict[str, Any]]
    members: tuple[dict[str, dict[str, Any]], ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    window_bars: int = Field(ge=30)
    calibration_share: float = Field(gt=0, lt=0.5)

    @model_validator(mode="after")
    def _training_is_known(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"`seeds` must differ from each other; received {list(self.seeds)}")
        recipes = self.recipes
        if any(recipe in recipes[:place] for place, recipe in enumerate(recipes)):
            raise ValueError(
                "`members` must differ from each other; more networks of one recipe are more `seeds`"
            )
        if any(recipe.schedule.context >= self.window_bars for recipe in recipes):
            raise ValueError("`schedule.context` must be shorter than `window_bars`")
        return self

    @property
    def training(self) -> presets.Preset:
        """The first member's recipe."""
        return self.recipes[0]

    @property
    def recipes(self) -> tuple[presets.Preset, ...]:
        """Of each member the preset with what `override`, then the member itself, sets otherwise."""
        return tuple(presets.chosen(self.preset, _merged(self.override, member)) for member in self.members)


def _merged(
    base: Mapping[str, Mapping[str, Any]], over: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {section: {**base.get(section, {}), **over.get(section, {})} for section in {**base, **over}}


class OofParams(_Section):
    """Who votes in the committee, with what weight, and what the policy sees of each."""

    committee: tuple[str, ...]
    weights: tuple[float, ...]
    observation: Literal["projected", "fused", "probabilities"]
    projection_width: int = Field(gt=0, le=256)

    @model_validator(mode="after")
    def _committee_is_known(self) -> Self:
        if self.committee not in (columns.EXPERTS, columns.VOTERS):
            raise ValueError(
                f"`committee` must be {list(columns.EXPERTS)} or {list(columns.VOTERS)}; received "
                f"{list(self.committee)}"
            )
        if len(self.weights) != len(self.committee) or min(self.weights) < 0 or not sum(self.weights):
            raise ValueError(
                f"`weights` must be one number for each of {list(self.committee)}, none negative and not all "
                f"0; received {list(self.weights)}"
            )
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Name -> share of the committee's mean, in the committee's order; they sum to 1."""
        return {name: weight / sum(self.weights) for name, weight in zip(self.committee, self.weights)}


class PolicyParams(_Section):
    algorithm: Literal["ppo"]
    seeds: tuple[int, ...] = Field(min_length=1)
    clone_steps: int = Field(gt=0)
    clone_epochs: int = Field(gt=0)
    clone_batch: int = Field(gt=1)
    clone_learning_rate: float = Field(gt=0)
    timesteps: int = Field(ge=0)
    accounts: int = Field(gt=0)
    rollout_bars: int = Field(gt=1)
    episode_bars: int = Field(gt=1)
    batch: int = Field(gt=1)
    update_epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    clip: float = Field(gt=0, lt=1)
    target_kl: float = Field(gt=0)
    gamma: float = Field(gt=0, lt=1)
    entropy: float = Field(ge=0)
    hidden: tuple[int, ...]


class BacktestParams(_Section):
    fee_bps: float = Field(ge=0)
    slippage_bps: float = Field(ge=0)
    maintenance_margin: float = Field(gt=0, lt=1)
    liquidation_fee_bps: float = Field(ge=0)
    max_leverage: float = Field(gt=0, le=2)
    bootstrap: int = Field(ge=100)
    bootstrap_seed: int
    random_timing_runs: int = Field(ge=20)


class BundleParams(_Section):
    golden_pairs: int = Field(gt=0)
    golden_seed: int
    stale_after_days: int = Field(gt=0)
    parity_tolerance: float = Field(gt=0)


class ForecastParams(_Section):
    """The six-hour forecast beside the experts: whether it is trained at all, its network, its filter."""

    enabled: bool
    units: tuple[int, ...] = Field(min_length=1)
    dense: tuple[int, ...]
    dropout: float = Field(ge=0, lt=1)
    epochs: int = Field(gt=0)
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    seed: int
    held_share: float = Field(gt=0, lt=0.5)
    minimum_confidence: float = Field(ge=0, le=1)
    vote_weight: float = Field(gt=0)
    golden_pairs: int = Field(gt=0)


class GateParams(_Section):
    f1_floor: float
    f1_lightgbm_margin: float
    sharpe_floor: float
    min_deflated_sharpe: float = Field(gt=0, lt=1)
    same_trial_correlation: float = Field(gt=0, lt=1)
    max_lost_recipes: int = Field(ge=0)
    max_drawdown: float
    max_class_share: float
    max_side_share: float
    min_positive_folds: float
    max_ece: float
    null_f1: float
    null_direction: float
    min_refit_rank_correlation: float
    min_refit_side_agreement: float
    max_causal_difference: float = Field(ge=0)
    alarm_f1: float
    alarm_direction: float
    alarm_ic: float
    alarm_sharpe: float
    alarm_sharpe_year: float
    alarm_ceiling_factor: float = Field(ge=1)
    max_parity: float = Field(gt=0, le=1e-3)
    min_track_days: int = Field(gt=0)
    min_common_days: int = Field(gt=0)
    upgrade_probability: float
    upgrade_f1_margin: float
    refresh_sharpe_margin: float
    refresh_probability: float
    bootstrap: int = Field(ge=100)
    bootstrap_seed: int


class Config(_Section):
    """All of params.yaml."""

    market: MarketParams
    pull: PullParams
    validation: ValidationParams
    snapshot: SnapshotParams
    features: FeatureParams
    labels: LabelParams
    experts: ExpertParams
    oof: OofParams
    policy: PolicyParams
    backtest: BacktestParams
    forecast: ForecastParams
    bundle: BundleParams
    gate: GateParams


def load_config(path: Path) -> Config:
    """Read and check `path`.

    Raises:
        ConfigError: the file is missing, not YAML, has an unknown key or a value out of range.
    """
    if not path.is_file():
        raise ConfigError(f"no parameters at {path}; run from the root of a checkout or pass --root")
    try:
        return Config.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_lines(error)}") from error


def _first_lines(error: ValidationError) -> str:
    """What is wrong with which key. A rule over several keys received all of them, secrets too: not shown."""
    return "; ".join(
        f"`{'.'.join(str(part) for part in item['loc'])}`: {item['msg']} (received {item['input']!r})"
        if item["loc"]
        else str(item["msg"])
        for item in error.errors()
    )


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(_Section):
    """Where the servers are; from `XRL_*` environment variables (see `.env.example`). Loopback hosts only."""

    host: str = "127.0.0.1"
    sandbox_port: int = Field(default=4310, gt=0, lt=65536)
    mlflow_port: int = Field(default=4320, gt=0, lt=65536)
    airflow_port: int = Field(default=4330, gt=0, lt=65536)
    service_port: int = Field(default=4340, gt=0, lt=65536)
    replay_dir: Path | None = None
    serve_market: str = "planted"
    mlflow_url: str | None = None
    search_url: str | None = None  # Optuna's shared storage; None for a file in the search's folder
    dvc_remote: str | None = None  # address of a shared DVC remote; None for var/dvc-remote
    keep_workspaces: int = Field(default=5, ge=3)  # two retrainings may run at once
    exchange_key: SecretStr | None = None  # the live venue's; public data need none
    exchange_secret: SecretStr | None = None
    feature_modules: str = ""  # comma-separated: users' modules whose functions a bundle may name

    @model_validator(mode="after")
    def _loopback_only(self) -> Self:
        if self.host not in _LOOPBACK:
            raise ValueError(f"XRL_HOST must be a loopback host, one of {_LOOPBACK}; received {self.host!r}")
        return self

    @model_validator(mode="after")
    def _key_with_secret(self) -> Self:
        if (self.exchange_key is None) != (self.exchange_secret is None):
            raise ValueError("XRL_EXCHANGE_KEY and XRL_EXCHANGE_SECRET come together; received one of them")
        return self

    @property
    def credentials(self) -> tuple[SecretStr | None, SecretStr | None]:
        """Key and secret for the live venue; they stay hidden in text, logs and errors."""
        return self.exchange_key, self.exchange_secret

    @property
    def allowed_modules(self) -> tuple[str, ...]:
        """Modules out of which gate and service compute users' features."""
        return tuple(name.strip() for name in self.feature_modules.split(",") if name.strip())

    @property
    def sandbox_url(self) -> str:
        """Base of the sandbox exchange; a world's API lives below `/WORLD`."""
        return f"http://{self.host}:{self.sandbox_port}"

    @property
    def model_name(self) -> str:
        """Registered model that the service serves, e.g. `xrl-planted`."""
        return model_name(self.serve_market)

    @property
    def tracking_url(self) -> str:
        """MLflow tracking and registry server; `MLFLOW_TRACKING_URI` or XRL_MLFLOW_URL name another."""
        return self.mlflow_url or f"http://{self.host}:{self.mlflow_port}"

    @property
    def service_url(self) -> str:
        return f"http://{self.host}:{self.service_port}"

    @property
    def airflow_url(self) -> str:
        return f"http://{self.host}:{self.airflow_port}"


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `XRL_*` variables; an unknown one outside the known list is ignored, a bad value refused.

    Raises:
        ConfigError: a value is out of range or the host is not a loopback host.
    """
    env = os.environ if environment is None else environment
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        value = env.get(f"XRL_{name.upper()}")
        if value:
            values[name] = value
    if "mlflow_url" not in values and env.get("MLFLOW_TRACKING_URI"):
        values["mlflow_url"] = env["MLFLOW_TRACKING_URI"]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"environment: {_first_lines(error)}") from error
