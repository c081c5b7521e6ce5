"""What a batch must satisfy before anything downstream sees it. The only place of Great Expectations.

Enters: batches of one kind, each with the accepted rows before it. Leaves: a verdict for each symbol, and for
refused ones their rows, reports and Data Docs in the quarantine. Accepted history is never touched here.

One run of Great Expectations judges all symbols of a kind, since a run costs 4 ms a rule whatever the rows:
first it only says which rules hold, then the broken ones alone are asked for their rows. Accepted batches pay
for no page. This module takes seconds to import: callers do so when there are rows to judge, and take names
that they need before (`Batch`, `Verdict`) from `derived` and `quarantine`.

Longer than other modules because all that touches Great Expectations stands here: verdicts, the run, our own
expectations, Data Docs.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.store.tuple_store_backend import TupleFilesystemStoreBackend
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    ColumnPairMapMetricProvider,
    MulticolumnMapMetricProvider,
    column_condition_partial,
    column_pair_condition_partial,
    multicolumn_condition_partial,
)
from great_expectations.render.renderer.site_builder import DefaultSiteIndexBuilder
from numpy.typing import NDArray

from xrl import columns as c
from xrl.config import ValidationParams
from xrl.errors import DataError
from xrl.market import checks as k
from xrl.market import quarantine as q
from xrl.market import tables
from xrl.market.derived import CONTEXT_ROWS, Batch, Demand, judged_rows
from xrl.market.quarantine import Failure, Verdict
from xrl.market.rules import row_rules, schema_rules

__all__ = ["CONTEXT_ROWS", "Batch", "Failure", "Verdict", "validate"]

Suite = tuple[k.Rule, ...]

_SAMPLE_ROWS: Final = 5
#: Quote volume is rounded to cents where a venue says no more.
_CENT: Final = 0.01
#: Broken rows of a batch up to which Data Docs name the time of each.
_MOST_TIMES: Final = 500
#: A move is held to this many times its own bound where recent volatility is not known yet.
_BLIND_FACTOR: Final = 3.0
#: Great Expectations keeps its current project in a global.
_TURN: Final = threading.Lock()


def validate(
    kind: tables.Kind,
    batches: Sequence[Batch],
    params: ValidationParams,
    quarantine: Path,
    *,
    references: Mapping[str, pd.DataFrame] | None = None,
    venue: str = "the other venue",
    fresh_until: pd.Timestamp | None = None,
    whole_history: bool = False,
) -> dict[str, Verdict]:
    """Judge batches of one kind; refused ones go to `quarantine`.

    Args:
        kind: of every batch.
        batches: rows of each symbol with the accepted rows before them (up to CONTEXT_ROWS count). Several
            batches of one symbol (stretches between holes) are judged apart and share a verdict.
        params: bounds and severities.
        quarantine: the market's; `SYMBOL/KIND/FIRST/` gets batch.parquet, report.json and report.md of what
            is refused, `data_docs/index.html` a page of each.
        references: candles of another venue by symbol, whose closes should agree where it has the bar.
        venue: whose `references` are.
        fresh_until: when the newest row should have ended.
        whole_history: each batch is all there is of its symbol, which should not be too short.

    Returns:
        a verdict for each symbol. Batches without rows are accepted unless freshness or history is asked for.

    Raises:
        ConfigError: `params.severity` names a rule that does not exist.
        DataError: a context is not of `kind`, or a rule could not be judged.
    """
    demand = Demand(references, venue, fresh_until, whole_history)
    schema, rows = schema_rules(kind, params, demand), row_rules(kind, params, demand)
    suites = _Suites(kind, demand, tables.empty(kind).dtypes, schema, rows)
    with _TURN:
        found = _failures(batches, suites)
        verdicts = _verdicts(kind, batches, found, quarantine)
        pages = [_page(batch, broken, suites) for batch, broken in zip(batches, found) if _stops(broken)]
        if pages:
            _publish(pages, quarantine)
    return verdicts


@dataclass(frozen=True)
class _Suites:
    """The rules of a run, and the types of a frame that keeps the first of them."""

    kind: tables.Kind
    demand: Demand
    dtypes: pd.Series
    schema: Suite
    rows: Suite

    def fits(self, batch: Batch) -> bool:
        """Whether no rule on schema is broken: most frames pass by their types alone, without a run."""
        due = self.demand.fresh_until is not None or self.demand.whole_history
        return batch.frame.dtypes.equals(self.dtypes) and (len(batch.frame) > 0 or not due)


def _failures(batches: Sequence[Batch], suites: _Suites) -> list[list[Failure]]:
    """What each batch broke."""
    found: list[list[Failure]] = []
    for batch in batches:
        if not batch.context.dtypes.equals(suites.dtypes):
            tables.check_schema(batch.context, suites.kind, f"{batch.symbol}: rows before a batch")
        found.append([] if suites.fits(batch) else _schema_failures(batch, suites.schema))
    sound = [number for number, batch in enumerate(batches) if not found[number] and len(batch.frame)]
    if sound:
        rows, owner = judged_rows(suites.kind, [batches[number] for number in sound], suites.demand)
        for number, failure in _row_failures(rows, owner, suites):
            found[sound[number]].append(failure)
    return found


def _stops(failures: Iterable[Failure]) -> bool:
    return any(failure.severity == "stop" for failure in failures)


def _schema_failures(batch: Batch, suite: Suite) -> list[Failure]:
    results = _run(batch.frame, suite, {"result_format": "BASIC"})
    received = ", ".join(f"{name} {dtype}" for name, dtype in batch.frame.dtypes.items()) or "nothing"
    failures = []
    for rule in suite:
        if not results[rule.name].success:
            shown = [{"expected": str(rule.check), "received": received}]
            first = q.first_time(batch.frame)
            failures.append(Failure(rule.name, len(batch.frame), first, shown, rule.severity))
    return failures


def _row_failures(rows: pd.DataFrame, owner: NDArray[np.int64], suites: _Suites) -> list[tuple[int, Failure]]:
    """Failures, each with the number of its batch: first which rules are broken, then by which rows."""
    held = _run(rows, suites.rows, {"result_format": "BOOLEAN_ONLY"})
    broken = tuple(rule for rule in suites.rows if not held[rule.name].success)
    details = _run(rows, broken, {"result_format": "COMPLETE"}) if broken else {}
    failures = []
    for rule in broken:
        bad = np.sort(np.array(details[rule.name].result["unexpected_index_list"], dtype=np.int64))
        shown = dict.fromkeys((*suites.dtypes.index, *_columns_of(rule.check, rows)))
        for number in np.unique(owner[bad]):
            its = rows.loc[bad[owner[bad] == number], list(shown)]
            sample = q.sample(its.head(_SAMPLE_ROWS))
            failures.append(
                (int(number), Failure(rule.name, len(its), q.first_time(its), sample, rule.severity))
            )
    return failures


def _columns_of(check: k.Check, rows: pd.DataFrame) -> list[str]:
    """Columns of `rows` that `check` looks at."""
    return [name for name in vars(check).values() if isinstance(name, str) and name in rows]


def _verdicts(
    kind: tables.Kind, batches: Sequence[Batch], found: Sequence[list[Failure]], quarantine: Path
) -> dict[str, Verdict]:
    verdicts = {}
    for symbol in dict.fromkeys(batch.symbol for batch in batches):
        own = [number for number, batch in enumerate(batches) if batch.symbol == symbol]
        failures = _merged([failure for number in own for failure in found[number]])
        accepted = not _stops(failures)
        frames = [batches[number].frame for number in own]
        whole = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        report = None if accepted else q.put_away(quarantine, symbol, kind, whole, failures)
        verdicts[symbol] = Verdict(accepted, failures, report)
    return verdicts


def _merged(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """One failure for each rule, where several stretches of a symbol broke it."""
    merged: dict[str, Failure] = {}
    for one in failures:
        first = merged.get(one.rule)
        merged[one.rule] = one if first is None else first._replace(rows=first.rows + one.rows)
    return tuple(merged.values())


# --- Great Expectations: the run


@lru_cache(maxsize=1)
def _any_frame() -> Any:
    """A batch definition that takes any frame. One serves all runs: each of its own would hold its data."""
    in_memory = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    settings = DataContextConfig(store_backend_defaults=in_memory, progress_bars={"globally": False})
    context = gx.get_context(mode="ephemeral", project_config=settings)
    asset = context.data_sources.add_pandas("market").add_dataframe_asset("batch")
    return asset.add_batch_definition_whole_dataframe("whole")


def _run(frame: pd.DataFrame, suite: Suite, result_format: dict[str, Any]) -> dict[str, Any]:
    """Great Expectations' result for each rule.

    Raises:
        DataError: a rule could not be judged.
    """
    batch = _any_frame().get_batch(batch_parameters={"dataframe": frame})
    expectations = gx.ExpectationSuite("rules", expectations=[_expectation(rule) for rule in suite])
    results = batch.validate(expectations, result_format=result_format).results
    for one in results:
        raised = [info for info in _exceptions(one.exception_info) if info.get("raised_exception")]
        if raised:
            name, error = one.expectation_config.meta["rule"], raised[0]["exception_message"]
            raise DataError(f"rule {name!r} could not be judged: {error}. This is a bug: please report it.")
    return {one.expectation_config.meta["rule"]: one for one in results}


def _exceptions(info: dict[str, Any]) -> list[dict[str, Any]]:
    """One dictionary, or one for each metric."""
    return [info] if "raised_exception" in info else list(info.values())


def _expectation(rule: k.Rule) -> Any:
    """`rule` for Great Expectations: its own expectation where it has one, else one of those below."""
    about: dict[str, Any] = {
        "meta": {"rule": rule.name},
        "description": f"{rule.name}: {rule.check}",
        "severity": "critical" if rule.severity == "stop" else "warning",
    }
    match rule.check:
        case k.Columns(names):
            return gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(names), **about)
        case k.Stored(column, dtype):
            return ExpectColumnToBeStoredAs(column=column, dtype=dtype, **about)
        case k.SomeRows():
            return gxe.ExpectTableRowCountToBeBetween(min_value=1, **about)
        case k.There(column):
            return gxe.ExpectColumnValuesToNotBeNull(column=column, **about)
        case k.Within():
            return _between(rule.check, about)
        case k.NotBelow(above, below):
            return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=above,
                column_B=below,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                **about,
            )
        case k.NotRepeated(column):
            return gxe.ExpectColumnValuesToNotBeInSet(column=column, value_set=[0.0], **about)
        case k.Finite(columns):
            return ExpectNumbersToBeFinite(column_list=list(columns), ignore_row_if="never", **about)
        case k.Whole(column):
            return ExpectWholeNumbers(column=column, **about)
        case k.OnGrid(column, step):
            return ExpectTimesOnGrid(column=column, step_ms=step // pd.Timedelta(milliseconds=1), **about)
        case k.Spaced(column, longest):
            return ExpectRowsToFollowOneAnother(column=column, longest=longest, **about)
        case k.OnSchedule(column, hours):
            return ExpectSettlementsOnSchedule(column=column, hours=list(hours), **about)
        case k.Moving(column, rows):
            return ExpectFeedToMove(column=column, rows=rows, **about)
        case k.Usual(column, volatility, bound, sigmas):
            return ExpectUsualMoves(
                column_A=column,
                column_B=volatility,
                bound=bound,
                sigmas=sigmas,
                ignore_row_if="neither",
                **about,
            )
        case k.FitsPrices(quote, volume, tolerance):
            return ExpectQuoteVolumeToFitPrices(
                column_list=[quote, volume, c.LOW, c.HIGH],
                tolerance=tolerance,
                ignore_row_if="any_value_is_missing",
                **about,
            )


def _between(check: k.Within, about: dict[str, Any]) -> Any:
    return gxe.ExpectColumnValuesToBeBetween(
        column=check.column,
        min_value=check.low if check.above is None else check.above,
        max_value=check.high if check.below is None else check.below,
        strict_min=check.above is not None,
        strict_max=check.below is not None,
        **about,
    )


# --- Great Expectations: expectations of our own. Each is a condition on rows and the name that suites use.


class TimesOnGrid(ColumnMapMetricProvider):
    condition_metric_name = "column_values.on_grid"
    condition_value_keys = ("step_ms",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, step_ms: int, **_: Any) -> pd.Series:
        return pd.Series(pd.DatetimeIndex(column).asi8 % step_ms == 0, index=column.index)


class ExpectTimesOnGrid(ColumnMapExpectation):
    """Expect times in UTC milliseconds that are multiples of `step_ms`."""

    step_ms: int
    map_metric: ClassVar = "column_values.on_grid"
    success_keys: ClassVar = ("step_ms", "mostly")


class RowsFollowOneAnother(ColumnMapMetricProvider):
    condition_metric_name = "column_values.follow_one_another"
    condition_value_keys = ("longest",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, longest: float, **_: Any) -> pd.Series:
        return column <= longest


class ExpectRowsToFollowOneAnother(ColumnMapExpectation):
    """Expect no row missing: the column holds the distance from each row to the one before it."""

    longest: float
    map_metric: ClassVar = "column_values.follow_one_another"
    success_keys: ClassVar = ("longest", "mostly")


class SettlementsOnSchedule(ColumnMapMetricProvider):
    condition_metric_name = "column_values.on_schedule"
    condition_value_keys = ("hours",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, hours: list[float], **_: Any) -> pd.Series:
        # Repeated, disordered and missing settlements have rules of their own.
        return column.isin(hours) | (column <= 0) | (column > max(hours))


class ExpectSettlementsOnSchedule(ColumnMapExpectation):
    """Expect funding intervals that venues use: the column holds the hours since the settlement before."""

    hours: list[float]
    map_metric: ClassVar = "column_values.on_schedule"
    success_keys: ClassVar = ("hours", "mostly")


class FeedMoves(ColumnMapMetricProvider):
    condition_metric_name = "column_values.feed_moves"
    condition_value_keys = ("rows",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, rows: int, **_: Any) -> pd.Series:
        return column < rows


class ExpectFeedToMove(ColumnMapExpectation):
    """Expect fewer than `rows` equal rows in a row: the column counts them up to each row."""

    rows: int
    map_metric: ClassVar = "column_values.feed_moves"
    success_keys: ClassVar = ("rows", "mostly")


class WholeNumbers(ColumnMapMetricProvider):
    condition_metric_name = "column_values.whole"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: Any) -> pd.Series:
        return (column == column.round()) | np.isinf(column)


class ExpectWholeNumbers(ColumnMapExpectation):
    """Expect counts. Infinities have a rule of their own."""

    map_metric: ClassVar = "column_values.whole"


class UsualMoves(ColumnPairMapMetricProvider):
    condition_metric_name = "column_pair_values.usual_moves"
    condition_value_keys = ("bound", "sigmas")

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls, column_A: pd.Series, column_B: pd.Series, bound: float, sigmas: float, **_: Any
    ) -> pd.Series:
        usual = (sigmas * column_B).clip(lower=bound).fillna(_BLIND_FACTOR * bound)
        return ~(column_A > usual)  # an unknown move passes


class ExpectUsualMoves(ColumnPairMapExpectation):
    """Expect moves A of at most `bound` or `sigmas` times the volatility B, whichever is more."""

    bound: float
    sigmas: float
    ignore_row_if: Literal["neither"] = "neither"
    map_metric: ClassVar = "column_pair_values.usual_moves"
    success_keys: ClassVar = ("ignore_row_if", "bound", "sigmas", "mostly")


class NumbersAreFinite(MulticolumnMapMetricProvider):
    condition_metric_name = "multicolumn_values.finite"

    @multicolumn_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_list: pd.DataFrame, **_: Any) -> pd.Series:
        return ~np.isinf(column_list).any(axis=1)


class ExpectNumbersToBeFinite(MulticolumnMapExpectation):
    """Expect no infinity in any of the columns; what is missing may be."""

    map_metric: ClassVar = "multicolumn_values.finite"


class QuoteVolumeFitsPrices(MulticolumnMapMetricProvider):
    condition_metric_name = "multicolumn_values.quote_volume_fits_prices"
    condition_value_keys = ("tolerance",)

    @multicolumn_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_list: pd.DataFrame, tolerance: float, **_: Any) -> pd.Series:
        quote, volume, low, high = (column_list[name] for name in column_list)
        least, most = volume * low * (1 - tolerance), volume * high * (1 + tolerance)
        # Infinite, negative and disordered values have rules of their own.
        odd = ~np.isfinite(column_list).all(axis=1) | (column_list < 0).any(axis=1) | (low > high)
        return odd | ((quote >= least - _CENT) & (quote <= most + _CENT))


class ExpectQuoteVolumeToFitPrices(MulticolumnMapExpectation):
    """Expect quote volume = volume x a price from low to high; columns: quote volume, volume, low, high."""

    tolerance: float
    map_metric: ClassVar = "multicolumn_values.quote_volume_fits_prices"
    success_keys: ClassVar = ("tolerance", "mostly")


class ExpectColumnToBeStoredAs(BatchExpectation):
    """Expect the column, where there is one, to have this dtype exactly: zone and unit of times included."""

    column: str
    dtype: str
    metric_dependencies: ClassVar = ("table.column_types",)
    success_keys: ClassVar = ("column", "dtype")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        found = [str(one["type"]) for one in metrics["table.column_types"] if one["name"] == self.column]
        return {"success": set(found) <= {self.dtype}, "result": {"observed_value": ", ".join(found)}}


# --- Great Expectations: Data Docs


class _Page(NamedTuple):
    """What Data Docs show of a refused batch: the rules that it broke, and by which rows."""

    name: str
    first: str
    rows: pd.DataFrame
    suite: Suite
    broken_rows: int

    @property
    def result_format(self) -> dict[str, Any]:
        if self.broken_rows > _MOST_TIMES or c.TIMESTAMP not in self.rows:  # times are found one by one
            return {"result_format": "SUMMARY"}
        return {"result_format": "COMPLETE", "unexpected_index_column_names": [c.TIMESTAMP]}


class WholeFiles(TupleFilesystemStoreBackend):
    """Files written aside, then renamed: a killed run leaves no half page and no half result."""

    def _set(self, key: Any, value: str | bytes, **_: Any) -> str:
        path = Path(self.full_base_directory) / self._convert_key_to_filepath(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        aside.write_bytes(value.encode() if isinstance(value, str) else value)
        aside.replace(path)
        return str(path)


class RefusedIndex(DefaultSiteIndexBuilder):
    """An index that needs neither the network nor a look into each result: each is a refused batch."""

    def build(self, skip_and_clean_missing: bool = True, build_index: bool = True) -> tuple[Any, None]:
        pages = self.target_store.store_backends[ValidationResultIdentifier].list_keys()
        return self.target_store.write_index_page(q.index_page(pages)), None


def _page(batch: Batch, broken: Sequence[Failure], suites: _Suites) -> _Page:
    names = {failure.rule for failure in broken}
    fits = suites.fits(batch)
    rows = judged_rows(suites.kind, [batch], suites.demand)[0] if fits else batch.frame
    return _Page(
        name=f"{batch.symbol}-{suites.kind}",
        first=q.folder_name(batch.frame),
        rows=rows,
        suite=tuple(rule for rule in (suites.rows if fits else suites.schema) if rule.name in names),
        broken_rows=sum(failure.rows for failure in broken),
    )


def _publish(pages: Sequence[_Page], quarantine: Path) -> None:
    """Add a page for each refused batch to the Data Docs of the quarantine and write their index anew."""
    with q.locked(quarantine):
        context = gx.get_context(mode="ephemeral", project_config=_docs_settings(quarantine))
        source = context.data_sources.add_pandas("market")
        now = datetime.now(UTC)
        for number, page in enumerate(pages):
            asset = source.add_dataframe_asset(str(number))
            suite = gx.ExpectationSuite(page.name, expectations=[_expectation(rule) for rule in page.suite])
            definition = gx.ValidationDefinition(
                name=asset.name,
                data=asset.add_batch_definition_whole_dataframe("whole"),
                suite=context.suites.add_or_update(suite),
            )
            context.validation_definitions.add(definition).run(
                batch_parameters={"dataframe": page.rows},
                result_format=page.result_format,
                run_id=RunIdentifier(run_name=page.first, run_time=now),
            )
        keys = context.validation_results_store.list_keys()
        context.build_data_docs(resource_identifiers=[key for key in keys if key.run_id.run_time == now])


def _docs_settings(quarantine: Path) -> DataContextConfig:
    def files(folder: Path) -> dict[str, str]:
        return {"class_name": "WholeFiles", "module_name": __name__, "base_directory": str(folder.resolve())}

    site = (quarantine / q.DOCS_INDEX).parent
    settings = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    settings.stores["validation_results_store"]["store_backend"] = files(site / "results")
    settings.data_docs_sites = {
        "quarantine": {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": files(site),
            "site_index_builder": {"class_name": "RefusedIndex", "module_name": __name__},
            "site_section_builders": {"expectations": "none", "profiling": "none"},
        }
    }
    return DataContextConfig(store_backend_defaults=settings, progress_bars={"globally": False})
