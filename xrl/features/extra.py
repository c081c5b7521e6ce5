"""Columns that users add in params.yaml: any indicator of the library `ta`, or a function of their own.

Enters: `ExtraFeature` declarations and one symbol's bars as they came. Leaves: (n,) arrays, NaN in the
declared warm-up; where an optional input is absent 0, and the flag NAME_available tells so. `ta` and users'
modules are imported when a declared column is computed and not before. `trial` holds the declarations against
what the columns do.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import ExtraFeature
from xrl.errors import ConfigError, DataError
from xrl.features.feature import AVAILABLE, SETTLED, Feature
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array
from xrl.features.source import source_hash

Bars: TypeAlias = Mapping[str, Array] | pd.DataFrame

_INPUTS: Final = columns.BAR[1:]


def features(extra: Sequence[ExtraFeature]) -> tuple[Feature, ...]:
    """What is declared of the users' columns, each followed by its flag where an input is optional.

    Raises:
        ConfigError: an input or a definition does not exist.
    """
    return tuple(feature for one in extra for feature in _declared(one))


def _declared(one: ExtraFeature) -> tuple[Feature, ...]:
    groups = frozenset(columns.EXPERTS if one.group == "both" else (one.group,))
    unknown = [name for name in one.inputs if name not in _INPUTS]
    if unknown:
        raise ConfigError(f"feature `{one.name}`: no input `{unknown[0]}`; there are {', '.join(_INPUTS)}")
    window, warmup = one.window, one.warmup
    if one.relative == "atr":
        window, warmup = max(window, SETTLED), max(warmup, 14)
    flag = one.name + AVAILABLE if is_optional(one) else ""
    unit = {"close": "share of the close above it", "atr": "ATR above it", None: "its own"}[one.relative]
    absent = "0 where absent" if flag else "never"
    formula = _formula(one)
    own = Feature(one.name, groups, unit, window, 0 if flag else warmup, absent, one.inputs, formula, flag)
    if not flag:
        return (own,)
    told = f"whether `{one.name}` is known"
    return own, Feature(flag, groups, "0 or 1", window, 0, "never", one.inputs, told, flag)


def names(extra: Sequence[ExtraFeature]) -> tuple[str, ...]:
    """Names of the users' columns and flags, in the order of `features`."""
    return tuple(
        name
        for one in extra
        for name in ((one.name, one.name + AVAILABLE) if is_optional(one) else (one.name,))
    )


def is_optional(one: ExtraFeature) -> bool:
    return not set(one.inputs) <= set(columns.OHLCV)


def _formula(one: ExtraFeature) -> str:
    """Where the definition comes from; of a function with the hash of its files, so that a change shows."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in sorted(one.params.items()))
    if one.ta is not None:
        return f"`ta` {one.ta}({arguments}).{one.output}"
    digest = source_hash(str(one.function).partition(":")[0], _function(one))
    return f"{one.function}({arguments}), source {digest[:16]}"


def extra_columns(bars: Bars, x: Inputs, extra: Sequence[ExtraFeature]) -> dict[str, Array]:
    """Every column of `features(extra)`.

    Args:
        bars: one symbol's bars as they came, in their own currency.
        x: the same bars, checked and scaled.
        extra: declarations.

    Raises:
        ConfigError: a definition cannot be called.
        DataError: it returns something else than one number a bar.
    """
    found: dict[str, Array] = {}
    for one in extra:
        values = values_of(one, bars, x)
        if is_optional(one):
            known = np.isfinite(values)
            found[one.name] = np.where(known, values, 0.0)
            found[one.name + AVAILABLE] = known.astype(np.float64)
        else:
            found[one.name] = values
    return found


def values_of(one: ExtraFeature, bars: Bars, x: Inputs) -> Array:
    """The column, NaN in its warm-up and where unknown."""
    taken = {name: _input(bars, name, len(x)) for name in one.inputs}
    try:
        with np.errstate(
            divide="ignore", invalid="ignore", over="ignore"
        ):  # NaN is judged by whoever reads it
            returned = _from_ta(one, taken) if one.ta is not None else _function(one)(taken, **one.params)
    except TypeError as error:
        raise ConfigError(f"feature `{one.name}`: {error}; check its `inputs` and `params`") from error
    values = np.array(returned, dtype=np.float64)  # a copy: the user's array stays
    if values.shape != (len(x),):
        raise DataError(
            f"feature `{one.name}` must return one number a bar, shape ({len(x)},); received {values.shape}"
        )
    if one.relative is not None:
        close = _input(bars, columns.CLOSE, len(x))
        values = (close - values) / close
        if one.relative == "atr":
            values = x.in_atr(values * x.close)
    values[: max(one.warmup, 14) if one.relative == "atr" else one.warmup] = np.nan
    return values


def _input(bars: Bars, name: str, length: int) -> Array:
    if name not in bars:
        return np.full(length, np.nan)
    return np.array(bars[name], dtype=np.float64)


def _from_ta(one: ExtraFeature, taken: Mapping[str, Array]) -> Any:
    kind, method = _ta_class(one), str(one.output)
    if len(next(iter(taken.values()))) <= one.warmup:  # some of its loops need the whole window
        return np.full(len(next(iter(taken.values()))), np.nan)
    indicator = kind(**{name: pd.Series(values) for name, values in taken.items()}, **one.params)
    return getattr(indicator, method)().to_numpy()


def _ta_class(one: ExtraFeature) -> Callable[..., Any]:
    module_name, _, class_name = str(one.ta).partition(".")
    try:
        kind: Any = getattr(import_module(f"ta.{module_name}"), class_name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(
            f"feature `{one.name}`: the library `ta` has no {one.ta}; e.g. momentum.ROCIndicator"
        ) from error
    if not callable(getattr(kind, str(one.output), None)):
        raise ConfigError(f"feature `{one.name}`: `ta` {one.ta} has no output `{one.output}`")
    known = inspect.signature(kind).parameters
    wrong = [name for name in (*one.inputs, *one.params) if name not in known]
    if wrong:
        raise ConfigError(
            f"feature `{one.name}`: `ta` {one.ta} takes no `{wrong[0]}`; it takes {', '.join(known)}"
        )
    return kind  # type: ignore[no-any-return]


def _function(one: ExtraFeature) -> Callable[..., Any]:
    module_name, _, name = str(one.function).partition(":")
    found = getattr(_module(one, module_name), name, None)
    if not callable(found):
        raise ConfigError(f"feature `{one.name}`: `{module_name}` has no function `{name}`")
    return found  # type: ignore[no-any-return]


def _module(one: ExtraFeature, name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"feature `{one.name}`: no module `{name}` ({error}); put its folder on PYTHONPATH"
        ) from error
