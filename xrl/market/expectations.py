"""What a batch must satisfy before anything downstream sees it. The only place of Great Expectations.

Enters: one symbol's batch of one kind, as the venue sent it. Leaves: nothing, or a quarantined batch with a
readable report and a DataError that stops the flow. Accepted history is never touched here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

from xrl import columns as c
from xrl.errors import DataError
from xrl.market.store import TABLES, Kind

#: |log return| of one hour beyond which a price is taken for an error: a halving or doubling.
MAX_JUMP: Final = 0.7
#: The venue caps a settlement at 3 % of notional.
MAX_FUNDING_RATE: Final = 0.03
_SAMPLE_ROWS: Final = 5

# Columns derived for the rules, beside those of the batch.
_UTC_OFFSET, _STEP, _JUMP = "utc_offset_s", "step_s", "jump"


@dataclass(frozen=True)
class Rule:
    """A named expectation; the name is what error and report call it."""

    name: str
    expectation: Any


class Failure(NamedTuple):
    """A broken rule: rows that break it, the first's time, and some of them."""

    rule: str
    rows: int
    first_timestamp: str | None
    sample_rows: list[dict[str, Any]]


def validate(kind: Kind, frame: pd.DataFrame, symbol: str, quarantine: Path) -> None:
    """Check a batch against its kind's suite; a bad one goes to `quarantine` and stops the flow.

    Args:
        kind: `1h`, `funding` or `open_interest`.
        frame: the batch, columns of its kind, in the order received.
        symbol: whose batch it is.
        quarantine: folder of the market's quarantine; `SYMBOL/KIND/FIRST/` gets batch.parquet, report.json
            and report.html.

    Raises:
        DataError: names symbol, every broken rule, its count and first timestamp, and the report.
    """
    for prepare, rules in ((_as_it_is, _schema_rules(kind)), (_with_derived, _rules(kind))):
        batch = prepare(frame)
        result = _run(batch, rules)
        failures = [_failure(one, batch) for one in result.results if not one.success]
        if failures:
            folder = _put_away(kind, frame, symbol, quarantine, failures, result)
            raise DataError(_message(kind, symbol, failures, folder))


def _schema_rules(kind: Kind) -> list[Rule]:
    names = list(TABLES[kind])
    types = [Rule("time is a timestamp", _of_type(c.TIMESTAMP, "Timestamp"))]
    numbers = [Rule(f"{name} is float64", _of_type(name, "float64")) for name in names[1:]]
    return [Rule("columns", gxe.ExpectTableColumnsToMatchOrderedList(column_list=names)), *types, *numbers]


def _rules(kind: Kind) -> list[Rule]:
    time = [
        Rule("time is UTC", gxe.ExpectColumnValuesToBeInSet(column=_UTC_OFFSET, value_set=[0.0])),
        Rule("time is there", gxe.ExpectColumnValuesToNotBeNull(column=c.TIMESTAMP)),
        Rule("time increases", gxe.ExpectColumnValuesToBeIncreasing(column=c.TIMESTAMP, strictly=True)),
    ]
    if kind == "1h":
        return time + _candle_rules()
    if kind == "funding":
        bound = _between(c.FUNDING_RATE, -MAX_FUNDING_RATE, MAX_FUNDING_RATE)
        there = gxe.ExpectColumnValuesToNotBeNull(column=c.FUNDING_RATE)
        return [*time, Rule("funding rate is there", there), Rule("funding rate is plausible", bound)]
    amounts = (c.OPEN_INTEREST, c.OPEN_INTEREST_VALUE)
    return time + [Rule(f"{name} is not negative", _between(name, 0.0)) for name in amounts]


def _candle_rules() -> list[Rule]:
    there = [Rule(f"{name} is there", gxe.ExpectColumnValuesToNotBeNull(column=name)) for name in c.OHLCV]
    positive = [
        Rule(
            f"{name} is positive",
            gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, strict_min=True),
        )
        for name in (c.OPEN, c.HIGH, c.LOW, c.CLOSE)
    ]
    counts = [Rule(f"{name} is not negative", _between(name, 0.0)) for name in (c.VOLUME, *c.OPTIONAL_CANDLE)]
    ordered = [
        Rule(f"{above} is not below {below}", _at_least(above, below))
        for above, below in (
            (c.HIGH, c.LOW), (c.HIGH, c.OPEN), (c.HIGH, c.CLOSE), (c.OPEN, c.LOW), (c.CLOSE, c.LOW),
            (c.VOLUME, c.TAKER_BUY_VOLUME), (c.QUOTE_VOLUME, c.TAKER_BUY_QUOTE_VOLUME),
        )
    ]  # fmt: skip
    return [
        Rule("one bar an hour", gxe.ExpectColumnValuesToBeInSet(column=_STEP, value_set=[3600.0])),
        *there,
        *positive,
        *counts,
        *ordered,
        Rule("price jump is plausible", _between(_JUMP, 0.0, MAX_JUMP)),
    ]


def _between(column: str, low: float, high: float | None = None, strict_min: bool = False) -> Any:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, strict_min=strict_min
    )


def _of_type(column: str, name: str) -> Any:
    return gxe.ExpectColumnValuesToBeOfType(column=column, type_=name)


def _at_least(above: str, below: str) -> Any:
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=above, column_B=below, or_equal=True, ignore_row_if="either_value_is_missing"
    )


def _as_it_is(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reset_index(drop=True)


def _with_derived(frame: pd.DataFrame) -> pd.DataFrame:
    """The batch, numbered from 0, with the columns that the rules on time and jumps look at."""
    batch = _as_it_is(frame)
    time = batch[c.TIMESTAMP]
    derived: dict[str, Any] = {
        _UTC_OFFSET: (time.dt.tz_localize(None) - time.dt.tz_convert(None)).dt.total_seconds(),
        _STEP: time.diff().dt.total_seconds(),
    }
    if c.CLOSE in batch:
        derived[_JUMP] = np.log(batch[c.CLOSE].where(batch[c.CLOSE] > 0)).diff().abs()
    return batch.assign(**derived)


def _run(batch: pd.DataFrame, rules: Iterable[Rule]) -> Any:
    in_memory = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    settings = DataContextConfig(store_backend_defaults=in_memory, progress_bars={"globally": False})
    context = gx.get_context(mode="ephemeral", project_config=settings)
    asset = context.data_sources.add_pandas("market").add_dataframe_asset("batch")
    suite = gx.ExpectationSuite("batch")
    for rule in rules:
        rule.expectation.meta = {"rule": rule.name}
        suite.add_expectation(rule.expectation)
    definition = gx.ValidationDefinition(
        name="batch",
        data=asset.add_batch_definition_whole_dataframe("whole"),
        suite=context.suites.add(suite),
    )
    return context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": batch}, result_format={"result_format": "COMPLETE"}
    )


def _failure(result: Any, batch: pd.DataFrame) -> Failure:
    name = str(result.expectation_config.meta["rule"])
    rows = sorted(result.result.get("unexpected_index_list") or [])
    if not rows:
        observed = {"observed": str(result.result.get("observed_value", result.exception_info))}
        return Failure(name, 1, None, [observed])
    bad = batch.iloc[rows]
    times = bad[c.TIMESTAMP].dropna()
    sample = json.loads(bad.head(_SAMPLE_ROWS).to_json(orient="records", date_format="iso"))
    return Failure(name, len(rows), None if times.empty else times.iloc[0].isoformat(), sample)


def _put_away(
    kind: Kind, frame: pd.DataFrame, symbol: str, quarantine: Path, failures: list[Failure], result: Any
) -> Path:
    """Write batch and reports to `quarantine/SYMBOL/KIND/FIRST`, replacing an earlier one of that start."""
    first = frame[c.TIMESTAMP].min() if c.TIMESTAMP in frame and len(frame) else None
    name = first.strftime("%Y%m%dT%H%M") if isinstance(first, pd.Timestamp) else "unreadable"
    folder = quarantine / symbol / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "batch.parquet")
    report = {
        "symbol": symbol,
        "kind": kind,
        "rows": len(frame),
        "failures": [failure._asdict() for failure in failures],
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    page = ValidationResultsPageRenderer().render(result)
    (folder / "report.html").write_text(DefaultJinjaPageView().render(page))
    return folder


def _message(kind: Kind, symbol: str, failures: list[Failure], folder: Path) -> str:
    broken = "; ".join(
        f"rule '{one.rule}' broken by {one.rows} row(s)"
        + (f", first at {one.first_timestamp}" if one.first_timestamp else "")
        for one in failures
    )
    return (
        f"{symbol} {kind}: {broken}. Nothing of this batch was stored; it lies with its report in {folder}. "
        "Look at report.json, then pull the interval again."
    )
