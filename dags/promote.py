"""Judge every new candidate and promote what passes; a refusal with its reasons is a green run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, dag

ROOT = Path(__file__).resolve().parents[1]


@dag(
    dag_id="promote",
    schedule=[Asset("xrl-candidate")],
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=15)},
    tags=["xrl"],
    doc_md="""
### Promotion
Starts by itself when `retrain` has registered a candidate (asset `xrl-candidate`).

- **gate** judges the candidate's walk-forward track: each figure against its bound, in the task's log and
  with the model version in MLflow, promoted or not.
- **promote** moves the alias `champion` to a candidate that passed; the running service loads it within
  two seconds. "Nothing promoted, and why" is a successful run.
""",
)
def promote() -> None:
    gate = BashOperator(
        task_id="gate",
        bash_command="exec xrl gate --pending",
        cwd=str(ROOT),
        append_env=True,
        do_xcom_push=False,
        doc_md="Each check with its figure and bound; every decision is recorded.",
    )
    champion = BashOperator(
        task_id="promote",
        bash_command="exec xrl promote --pending",
        cwd=str(ROOT),
        append_env=True,
        do_xcom_push=False,
        doc_md="Moves the alias of the market's registered model, or says why not.",
    )
    gate >> champion


promote()
