"""Where refused batches lie, and what is said of them: verdicts, messages, reports on disk.

Enters: what a batch broke. Leaves: `QUARANTINE/SYMBOL/KIND/FIRST/` with batch.parquet, report.json and
report.md, whole or not there at all; two processes at once do not hurt each other.
"""

import fcntl
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pandas as pd

from xrl import columns as c
from xrl.market import tables
from xrl.market.checks import Severity

#: Data Docs of every refused batch, below the quarantine.
DOCS_INDEX: Final = Path("data_docs") / "index.html"


class Failure(NamedTuple):
    """A broken rule: rows that break it, the first's time, some of them, and whether that stops the batch."""

    rule: str
    rows: int
    first_timestamp: str | None
    sample_rows: list[dict[str, Any]]
    severity: Severity

    def sentence(self) -> str:
        """One line: rule, severity, count, first time, one row."""
        first = f", first at {self.first_timestamp}" if self.first_timestamp else ""
        row = ", ".join(f"{name} {value}" for name, value in self.sample_rows[0].items() if value is not None)
        return f"rule '{self.rule}' ({self.severity}) broken by {self.rows} row(s){first}: {row}"


class Verdict(NamedTuple):
    """What validation says of a symbol's rows; `report` is their folder in the quarantine, if refused."""

    accepted: bool
    failures: tuple[Failure, ...]
    report: Path | None

    def message(self, symbol: str, kind: tables.Kind) -> str:
        """What a log says: every broken rule, and for refused rows where they lie and what to do."""
        if not self.failures:
            return f"{symbol} {kind}: every rule holds."
        word = "accepted with warnings" if self.accepted else "refused"
        lines = [f"{symbol} {kind} {word}:", *(f"  {failure.sentence()}" for failure in self.failures)]
        if self.report is not None:
            lines += [f"  {line}" for line in _what_next(self.report)]
        return "\n".join(lines)


def _what_next(report: Path) -> list[str]:
    return [
        f"Nothing of this batch was stored; what was accepted before is as it was. It lies in {report}: "
        "report.md says more, batch.parquet holds the rows.",
        "Next: pull the interval again, the venue may have mended it. If the rows are right, give the rule "
        "`warn` in `validation.severity` of params.yaml, or a wider bound (docs/validation.md).",
    ]


def put_away(
    quarantine: Path, symbol: str, kind: tables.Kind, frame: pd.DataFrame, failures: tuple[Failure, ...]
) -> Path:
    """Write a refused batch with its reports; an earlier one of the same first row gives way.

    Args:
        quarantine: the market's.
        symbol: whose rows.
        kind: of table.
        frame: the batch as it came, whatever its columns and types.
        failures: every rule it broke.

    Returns:
        its folder.
    """
    folder = quarantine / symbol / kind / folder_name(frame)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{uuid4().hex}.part")
    aside.mkdir()
    _writable(frame).to_parquet(aside / "batch.parquet")
    (aside / "report.json").write_text(_json(symbol, kind, frame, failures))
    (aside / "report.md").write_text(_page(symbol, kind, frame, failures))
    with locked(folder.parent):
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    return folder


def index_page(pages: Sequence[tuple[str, ...]]) -> str:
    """The index of Data Docs, newest run first, readable without a network.

    Args:
        pages: of each page `validations/SYMBOL-KIND/FIRST/RUN_TIME/BATCH.html` those four names.
    """
    rows = []
    for name, first, when, batch in sorted(pages, key=lambda page: (page[2], page[0]), reverse=True):
        page = quote("/".join(("validations", name, first, when, f"{batch}.html")))
        rows.append(f'<tr><td>{when}</td><td><a href="{page}">{escape(name)}</a></td><td>{first}</td></tr>')
    table = "<tr><th>refused at</th><th>symbol and table</th><th>first row</th></tr>" + "".join(rows)
    style = "body{font-family:sans-serif;margin:2em}td,th{padding:.2em 1em;text-align:left}"
    head = f"<meta charset='utf-8'><title>Refused batches</title><style>{style}</style>"
    body = f"<h1>Refused batches</h1><table>{table}</table>"
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>\n"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` alone among threads and processes; the lock goes with the process and leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sample(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """`rows` as JSON can hold them: times as text, NaN as null, infinities as text."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]


def first_time(rows: pd.DataFrame) -> str | None:
    """Time of the first row that has one, where the frame has times."""
    times = _times(rows)
    return None if times.empty else str(times.iloc[0].isoformat())


def folder_name(frame: pd.DataFrame) -> str:
    """Name of a batch among those of its symbol and kind: its earliest time."""
    times = _times(frame)
    return "no-time" if times.empty else str(times.min().tz_convert("UTC").strftime("%Y%m%dT%H%M"))


def _times(frame: pd.DataFrame) -> pd.Series:
    alone = list(frame.columns).count(c.TIMESTAMP) == 1
    known = alone and isinstance(frame[c.TIMESTAMP].dtype, pd.DatetimeTZDtype)
    return frame[c.TIMESTAMP].dropna() if known else pd.Series(dtype=c.TIME_DTYPE)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return value if isinstance(value, (int, float, bool)) else str(value)


def _writable(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with columns that Parquet takes: unique names, mixed values as text."""
    plain = frame.reset_index(drop=True)
    if not plain.columns.is_unique:
        plain = plain.set_axis([f"{name}.{place}" for place, name in enumerate(plain.columns)], axis=1)
    mixed = [name for name in plain.columns if plain[name].dtype == object]
    return plain.astype(dict.fromkeys(mixed, "str")).rename(columns=str)


def _json(symbol: str, kind: tables.Kind, frame: pd.DataFrame, failures: tuple[Failure, ...]) -> str:
    report = {
        "symbol": symbol,
        "kind": kind,
        "rows": len(frame),
        "failures": [failure._asdict() for failure in failures],
    }
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


def _page(symbol: str, kind: tables.Kind, frame: pd.DataFrame, failures: tuple[Failure, ...]) -> str:
    lines = [f"# {symbol} {kind}: {len(frame)} rows refused", ""]
    for failure in failures:
        lines += [f"## {failure.rule}", ""]
        lines += [
            f"{failure.severity}, broken by {failure.rows} row(s), first at {failure.first_timestamp}.",
            "",
        ]
        names = list(dict.fromkeys(name for row in failure.sample_rows for name in row))
        lines += [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
        lines += [f"| {' | '.join(str(row.get(name)) for name in names)} |" for row in failure.sample_rows]
        lines.append("")
    docs = Path(*[".."] * 3) / DOCS_INDEX
    lines.append(f"Rows: batch.parquet. All refused batches: [{docs}]({docs}). Rules: docs/validation.md.")
    return "\n".join(lines) + "\n"
