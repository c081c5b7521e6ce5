"""Fault scripts: which misbehaviour the sandbox exchange shows, to whom, how often.

Enters: JSON such as `{"seed": 3, "faults": [{"kind": "cut", "on": "klines", "times": 2}]}`. Leaves: a checked
`Script`. What each kind does to an answer is in `failures` (status, body, connection) and `altered` (rows).
Every random choice comes from the script's seed and the count of the request: the same script and the same
requests give the same misbehaviour.
"""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xrl.errors import ConfigError
from xrl.sandbox.wire import Endpoint

_ROWS: Final[frozenset[Endpoint]] = frozenset({"klines", "funding", "open_interest", "taker_volume"})
_EVERY: Final[frozenset[Endpoint]] = frozenset(get_args(Endpoint))
_LISTED: Final[frozenset[Endpoint]] = _ROWS | {"instruments"}


class Arg(NamedTuple):
    """Default and bounds of one argument, and the values that random scripts draw from."""

    default: float
    low: float
    high: float
    drawn: tuple[float, ...]


class Kind(NamedTuple):
    """Which endpoints a kind can concern, its arguments, and whether random scripts let it last."""

    on: frozenset[Endpoint]
    args: Mapping[str, Arg] = MappingProxyType({})
    lasts: bool = False


_ONE_ROW: Final = Arg(1, 1, 1000, (1, 2, 5))
_RETRY_AFTER: Final = Arg(1, 0, 86_400, (0, 1, 1, 2))
_SHARE: Final = Arg(0.5, 0, 0.99, (0, 0.1, 0.5, 0.9))
_DAYS_AGO: Final = Arg(3, 0, 5000, (1, 3, 10, 30))

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # the answer as a whole
        "rate_limit": Kind(_EVERY, {"seconds": _RETRY_AFTER}),
        "ban": Kind(_EVERY, {"seconds": Arg(60, 0, 864_000, (0, 1, 2, 600))}),
        "server_error": Kind(_EVERY, {"status": Arg(503, 500, 599, (500, 502, 503, 504))}),
        "cut": Kind(_EVERY, {"share": _SHARE}),
        "stall": Kind(_EVERY, {"seconds": Arg(30, 0, 3600, (0.1, 4)), "share": Arg(0, 0, 0.99, (0, 0, 0.5))}),
        "truncated_json": Kind(_EVERY, {"share": _SHARE}),
        "malformed_json": Kind(_EVERY),
        "wrong_shape": Kind(_EVERY),
        # rows
        "empty_page": Kind(_ROWS),
        "short_page": Kind(_ROWS, {"share": Arg(0.5, 0, 0.99, (0.1, 0.5, 0.9))}),
        "missing": Kind(_ROWS, {"rows": Arg(3, 1, 1000, (1, 3, 12))}),
        "repeated": Kind(_ROWS, {"rows": _ONE_ROW}),
        "contradictory": Kind(_ROWS, {"rows": _ONE_ROW}),
        "out_of_order": Kind(_ROWS),
        "late": Kind(_ROWS, {"minutes": Arg(30, 0, 100_000, (1, 30, 90, 600))}, lasts=True),
        "preliminary": Kind(_ROWS, {"seconds": Arg(45, 0, 3600, (45,))}, lasts=True),
        "revised": Kind(_ROWS, {"rows": Arg(1, 1, 24, (1, 2, 3))}),
        "unclosed": Kind(frozenset({"klines"}), lasts=True),
        "jitter": Kind(_ROWS, {"milliseconds": Arg(400, 1, 60_000, (5, 400, 900))}, lasts=True),
        "null_values": Kind(_ROWS, {"rows": _ONE_ROW}),
        "text_values": Kind(_ROWS, {"rows": _ONE_ROW}),
        # the venue's state
        "clock_skew": Kind(
            frozenset({"time"}), {"seconds": Arg(-90, -1e7, 1e7, (-4000, -90, -2, 2, 90, 4000))}, lasts=True
        ),
        "maintenance": Kind(_LISTED, lasts=True),
        "delisted": Kind(_LISTED, {"days": _DAYS_AGO}, lasts=True),
        "newly_listed": Kind(_LISTED, {"days": _DAYS_AGO}, lasts=True),
    }
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Fault(_Model):
    """One misbehaviour.

    Args:
        kind: one of KINDS.
        on: the endpoint it concerns; `any`: every one that the kind can concern.
        symbol: our form, `BTCUSDT`; None for all, and for requests that name no symbol.
        after: requests of that kind that it lets pass first.
        times: answers that it spoils; None for as long as the script stands. An answer that it could not
            spoil (no rows, too old) does not count.
        args: of KINDS[kind].args; the rest takes its default.
    """

    kind: str
    on: Endpoint | Literal["any"] = "any"
    symbol: str | None = Field(default=None, pattern=r"^[A-Z0-9]{4,20}$")
    after: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=1)
    args: dict[str, float] = {}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}; received {self.kind!r}")
        kind = KINDS[self.kind]
        if self.on != "any" and self.on not in kind.on:
            raise ValueError(f"`{self.kind}` can be `on` {', '.join(sorted(kind.on))}; received {self.on!r}")
        if self.symbol is not None and not (kind.on if self.on == "any" else {self.on}) & _LISTED:
            raise ValueError(f"`{self.kind}` on `{self.on}` names no symbol; leave `symbol` out")
        for name, value in self.args.items():
            if name not in kind.args:
                raise ValueError(f"`{self.kind}` has the args {sorted(kind.args)}; received {name!r}")
            low, high = kind.args[name].low, kind.args[name].high
            if not low <= value <= high:
                raise ValueError(f"`args.{name}` must lie within {low:g} and {high:g}; received {value:g}")
        return self

    def arg(self, name: str) -> float:
        return self.args.get(name, KINDS[self.kind].args[name].default)

    def concerns(self, on: Endpoint, symbol: str | None) -> bool:
        """Whether a request of `symbol` at `on` is one that this fault may spoil."""
        if on not in KINDS[self.kind].on or self.on not in ("any", on):
            return False
        lists = on == "instruments" and self.kind in ("maintenance", "delisted", "newly_listed")
        return self.symbol is None or lists or self.symbol == symbol


class Script(_Model):
    """Faults in the order in which they are applied to an answer."""

    seed: int = 0
    faults: tuple[Fault, ...] = Field(default=(), strict=False)


def read_script(text: str | bytes) -> Script:
    """The script that the JSON `text` holds.

    Raises:
        ConfigError: not JSON, an unknown key or kind, a value out of range, a fault that can never fire.
    """
    try:
        return Script.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(
            f"`{'.'.join(map(str, item['loc'])) or 'script'}`: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise ConfigError(f"the fault script cannot be used: {wrong}. See docs/market.md.") from error


def random_script(seed: int, symbols: Sequence[str] = ()) -> Script:
    """One to five faults over all kinds; `symbols` are those that a fault may single out."""
    rng = random.Random(f"fault script {seed}")
    return Script(seed=seed, faults=tuple(_random_fault(rng, symbols) for _ in range(rng.randint(1, 5))))


def _random_fault(rng: random.Random, symbols: Sequence[str]) -> Fault:
    name = rng.choice(sorted(KINDS))
    kind = KINDS[name]
    on = rng.choice(("any", *sorted(kind.on)))
    single = bool(symbols) and bool(kind.on & _LISTED if on == "any" else on in _LISTED)
    return Fault.model_validate(
        {
            "kind": name,
            "on": on,
            "symbol": rng.choice(symbols) if single and rng.random() < 0.4 else None,
            "after": rng.choice((0, 0, 0, 0, 1, 2)),
            "times": _random_times(rng, kind.lasts),
            "args": {key: rng.choice(arg.drawn) for key, arg in kind.args.items()},
        }
    )


def _random_times(rng: random.Random, lasts: bool) -> int | None:
    """Mostly a few times, so that retries can win; sometimes for good, so that the pull must say so."""
    if rng.random() < (0.7 if lasts else 0.1):
        return None
    return rng.choice((1, 1, 2, 3, 6))
