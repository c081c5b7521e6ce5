"""Pull the market: one task for each symbol, every day after midnight UTC, or any interval by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Asset, CronTriggerTimetable, Param, dag, task

ROOT = Path(__file__).resolve().parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
MARKET, DAYS = PARAMS["market"], PARAMS["snapshot"]["days"]
WORLDS = ["planted", "random_walk", "replay", "live"]
DAY = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$"


@dag(
    dag_id="market_data",
    # Not CronDataIntervalTimetable: that one starts a run at once when a DAG is first seen.
    schedule=CronTriggerTimetable(
        "10 0 * * *", timezone="UTC", interval=timedelta(days=1), run_immediately=False
    ),
    catchup=False,
    max_active_runs=4,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True},
    params={
        "world": Param(
            MARKET["world"] or "live", enum=WORLDS, description="Sandbox world, or the live exchange."
        ),
        "symbols": Param(
            list(MARKET["symbols"]),
            type="array",
            minItems=1,
            items={"type": "string", "pattern": "^[A-Z0-9]+$"},
            description="One task is mapped over each.",
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
Pulls candles, funding and open interest of each symbol into the Parquet store, behind a Great Expectations
suite: a batch that fails is quarantined with a report and stops the flow; history stays as it was. A pull
is incremental and idempotent: only missing hours are fetched, and the same interval gives the same files. A
scheduled run looks back over all the days that a retraining asks for, so that days it missed are made up for.

**By hand**: `{"world": "planted", "symbols": ["BTCUSDT"], "start": "2024-01-01", "end": "2025-01-01"}`.
**Back-fill**: the same, or `airflow backfill create --dag-id market_data --from-date ... --to-date ...`.
""",
)
def market_data() -> None:
    @task(doc_md="The interval to pull: from the parameters, else all that a retraining asks for.")
    def plan(
        params: dict[str, Any], dag_run: Any, data_interval_end: datetime | None = None
    ) -> list[dict[str, str]]:
        until = (data_interval_end or dag_run.run_after).astimezone(UTC)
        midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
        end = params["end"] or midnight.strftime("%Y-%m-%d")
        # Not yesterday alone: a pull fetches only what is missing, so a day on which this machine slept is
        # made up for, and a new store is filled.
        history = datetime.fromisoformat(end) - timedelta(days=DAYS)
        start = params["start"] or history.strftime("%Y-%m-%d")
        if start >= end:
            raise ValueError(f"`start` must be before `end`; received {start} >= {end}")
        interval = {"WORLD": params["world"], "START": start, "END": end}
        return [{**interval, "SYMBOL": symbol} for symbol in params["symbols"]]

    pull = BashOperator.partial(
        task_id="pull",
        bash_command='exec xrl pull --world "$WORLD" --symbol "$SYMBOL" --start "$START" --end "$END"',
        cwd=str(ROOT),
        append_env=True,
        do_xcom_push=False,
        map_index_template="{{ task.env['SYMBOL'] }}",
        doc_md="Exchange -> Great Expectations -> Parquet store, one symbol.",
    ).expand(env=plan())

    pull >> EmptyOperator(task_id="updated", outlets=[Asset("xrl-market")])


market_data()
