"""Pull the market: every day after midnight UTC, or any interval by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import yaml
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Asset, CronTriggerTimetable, Param, dag

ROOT = Path(__file__).resolve().parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
MARKET = PARAMS["market"]
VENUES = ["binance", "bybit", "okx"]
WORLDS = ["planted", "random_walk", "replay", "live"]
DAY = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$"


@dag(
    dag_id="market_data",
    # Not CronDataIntervalTimetable: that one starts a run at once when a DAG is first seen.
    schedule=CronTriggerTimetable(
        "10 0 * * *", timezone="UTC", interval=timedelta(days=1), run_immediately=False
    ),
    catchup=False,
    max_active_runs=1,  # the venue's rate limit is shared within a run, not between runs
    default_args={"retries": 3, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True},
    params={
        "venue": Param(MARKET["venue"], enum=VENUES, description="Exchange, or its dialect in the sandbox."),
        "world": Param(
            MARKET["world"] or "live", enum=WORLDS, description="Sandbox world, or the live exchange."
        ),
        "symbols": Param(
            list(MARKET["symbols"]),
            type="array",
            minItems=1,
            items={"type": "string", "pattern": "^[A-Z0-9]+$"},
        ),
        "start": Param(
            None,
            type=["null", "string"],
            pattern=DAY,
            description="First day, UTC. Empty: `snapshot.days` of params.yaml before the end.",
        ),
        "end": Param(
            None,
            type=["null", "string"],
            pattern=DAY,
            description="Exclusive end, UTC. Empty: the run's midnight.",
        ),
    },
    tags=["xrl"],
    doc_md="""
### Market data
Pulls candles, funding, open interest and taker volume of every symbol into the Parquet store, behind Great
Expectations suites. A batch that fails is quarantined with a report, history stays as it was, and the run
is red with that report in its log. A pull is incremental and idempotent: only what is missing is fetched,
and the same interval gives the same files. A scheduled run looks back over all the days that a retraining
asks for, so days it missed are made up for and gaps are asked for again.

**By hand**: `{"world": "planted", "symbols": ["BTCUSDT"], "start": "2024-01-01", "end": "2025-01-01"}`.
**Back-fill**: the same, or `airflow backfill create --dag-id market_data --from-date ... --to-date ...`.
""",
)
def market_data() -> None:
    # One task for all symbols: they share the venue's rate limit and one validation run a table. The command
    # goes on with the other symbols when one fails, and a retry asks for what is still missing alone.
    pull = BashOperator(
        task_id="pull",
        bash_command='exec xrl pull --venue "$VENUE" --world "$WORLD" --symbols "$SYMBOLS" '
        '${START:+--start "$START"} --end "$END"',
        env={
            "VENUE": "{{ params.venue }}",
            "WORLD": "{{ params.world }}",
            "SYMBOLS": "{{ params.symbols | join(',') }}",
            "START": "{{ params.start or '' }}",
            "END": "{{ params.end or (data_interval_end or dag_run.run_after).strftime('%Y-%m-%d') }}",
        },
        cwd=str(ROOT),
        append_env=True,
        do_xcom_push=False,
        doc_md="Exchange -> Great Expectations -> store, every symbol. Red when a batch is refused or bars "
        "are missing: the log holds the report, and the next pull asks again.",
    )

    pull >> EmptyOperator(task_id="updated", outlets=[Asset("xrl-market")])


market_data()
