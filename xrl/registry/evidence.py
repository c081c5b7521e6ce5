"""What the gate judges, out of a verified bundle.

Enters: bundles whose checksums are right. Leaves: `Track`s and `Evidence`. What a bundle says of itself that
the files behind it do not bear out is a BundleError, or is left out.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

import pandas as pd
import pyarrow
import yaml

from xrl import columns
from xrl.config import GateParams, LabelKind
from xrl.errors import BundleError
from xrl.registry import alarms, used
from xrl.registry.bundle import Bundle
from xrl.registry.comparison import flaw
from xrl.registry.gate import Evidence, Replay, Track, recipe_hash
from xrl.registry.trials import Tried

#: What reading a file of another shape than expected raises; YAML's is no ValueError.
_MALFORMED: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    pyarrow.ArrowException,
    yaml.YAMLError,
)
_TRACK: Final = (
    *(columns.SYMBOL, columns.TIMESTAMP, columns.LABEL, "exposure", "net_return"),
    *columns.probability_columns("committee"),
)


def evidence(
    bundle: Bundle,
    champion: Track | None,
    tried: Tried | None,
    openings: Path,
    replay: Replay,
    params: GateParams,
) -> Evidence:
    """All that a decision about the challenger's `bundle` rests on.

    Args:
        bundle, champion: the challenger, and what it is to replace.
        tried: every recipe of the model.
        openings: folder of the logs of opened holdouts.
        replay: of golden pairs.
        params: section `gate`.

    Raises:
        BundleError: a file of it cannot be read as what it should be.
    """
    parity = replay(bundle, params.max_parity)
    track = track_of(bundle)
    try:
        metrics = bundle.json("metrics.json")
        market = _params(bundle)["market"]
        has_ceiling = alarms.has_ceiling(market["source"], market["world"])
        notes = used.notes(openings, bundle.json("lineage.json"), track.recipe)
    except _MALFORMED as error:
        raise _unreadable(bundle, error) from error
    if not isinstance(metrics, dict):
        raise BundleError(f"{bundle.path / 'metrics.json'} must hold named figures; run `xrl backtest` again")
    return Evidence(track, metrics, parity, has_ceiling, champion, tried, notes)


def track_of(bundle: Bundle) -> Track:
    """A bundle as its rivals meet it.

    Raises:
        BundleError: a file of it cannot be read as what it should be.
    """
    try:
        table = pd.read_parquet(bundle.path / "track.parquet")[list(_TRACK)]
        table[columns.TIMESTAMP].dt.tz_convert("UTC")
        table.drop(columns=[columns.SYMBOL, columns.TIMESTAMP]).astype("float64")
        wrong = flaw(table)
        trained_through = datetime.fromisoformat(bundle.json("lineage.json")["trained_through"])
        recipe = recipe_of(bundle)
        kind = _label_kind(bundle)
    except _MALFORMED as error:
        raise _unreadable(bundle, error) from error
    if wrong:
        raise BundleError(f"{bundle.path / 'track.parquet'}: {wrong}; run `xrl backtest` again")
    if trained_through.tzinfo is None:
        raise BundleError(f"{bundle.path / 'lineage.json'}: `trained_through` has no time zone; train again")
    return Track(bundle.digest, recipe, table, trained_through, kind)


def recipe_of(bundle: Bundle) -> str:
    """Hash of what a bundle was made by: parameters, our code, and the users' functions."""
    lineage = bundle.json("lineage.json")
    return recipe_hash(_params(bundle), lineage.get("source"), lineage.get("functions", {}))


def _label_kind(bundle: Bundle) -> LabelKind:
    """The kind of label that a bundle learned; bundles of before there were several do not say."""
    kind: LabelKind = _params(bundle)["labels"].get("kind", alarms.DEFAULT_KIND)
    if kind not in get_args(LabelKind):
        raise ValueError(f"no such kind of label: {kind!r}")
    return kind


def _params(bundle: Bundle) -> Any:
    return yaml.safe_load((bundle.path / "params.yaml").read_bytes())


def _unreadable(bundle: Bundle, error: Exception) -> BundleError:
    return BundleError(f"{bundle.path} cannot be judged ({error!r}); write it again with `xrl bundle`")
