"""Retrain in a workspace of its own: the stages of dvc.yaml, one task for each member, then register.

The DAG is rendered from dvc.yaml and params.yaml: a stage, fold or expert added there needs no edit.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, CronTriggerTimetable, Param, dag

ROOT = Path(__file__).resolve().parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
VENUES = ["binance", "bybit", "okx"]
WORLDS = ["planted", "random_walk", "replay", "live"]
WORKSPACE = "{{ ti.xcom_pull(task_ids='workspace') }}"


@dataclass(frozen=True)
class Member:
    """One member of a DVC stage; `target` is DVC's name for it, e.g. `experts@0-pattern`."""

    target: str
    cmd: str
    deps: tuple[PurePosixPath, ...]
    outs: tuple[PurePosixPath, ...]

    @property
    def task_id(self) -> str:
        return self.target.replace("@", ".")  # Airflow refuses `@`

    def needs(self, other: Member) -> bool:
        """Whether a dependency of this member is, holds or lies below an output of `other`."""
        return any(
            out == dep or out in dep.parents or dep in out.parents for dep in self.deps for out in other.outs
        )


def members(stages: dict[str, Any], params: dict[str, Any]) -> list[Member]:
    """Every stage of dvc.yaml with its matrix multiplied out and `${...}` filled in."""
    found = []
    for name, stage in stages.items():
        axes = {axis: _filled(values, params) for axis, values in stage.get("matrix", {}).items()}
        for values in itertools.product(*axes.values()):
            context = {**params, "item": dict(zip(axes, values))}
            found.append(
                Member(
                    target="@".join([name, "-".join(str(value) for value in values)] if values else [name]),
                    cmd=_filled(stage["cmd"], context),
                    deps=_paths(stage.get("deps", []), context),
                    outs=tuple(
                        path for kind in ("outs", "metrics") for path in _paths(stage.get(kind, []), context)
                    ),
                )
            )
    return found


def _paths(entries: list[Any], context: dict[str, Any]) -> tuple[PurePosixPath, ...]:
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return tuple(PurePosixPath(_filled(name, context)) for name in names)


def _filled(value: Any, context: dict[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{([\w.]+)\}", value)
    if whole:
        return _looked_up(whole[1], context)
    return re.sub(r"\$\{([\w.]+)\}", lambda found: str(_looked_up(found[1], context)), value)


def _looked_up(dotted: str, context: Any) -> Any:
    for key in dotted.split("."):
        context = context[key]
    return context


@dag(
    dag_id="retrain",
    schedule=CronTriggerTimetable(
        "0 2 * * 1", timezone="UTC", interval=timedelta(days=7), run_immediately=False
    ),
    catchup=False,
    max_active_runs=2,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    params={
        "venue": Param(PARAMS["market"]["venue"], enum=VENUES),
        "world": Param(
            PARAMS["market"]["world"] or "live",
            enum=WORLDS,
            description="Sandbox world, or the live exchange.",
        ),
        "symbols": Param(
            list(PARAMS["market"]["symbols"]),
            type="array",
            minItems=1,
            items={"type": "string", "pattern": "^[A-Z0-9]+$"},
        ),
        "days": Param(
            PARAMS["snapshot"]["days"], type="integer", minimum=1, description="Length of history."
        ),
        "preset": Param(PARAMS["experts"]["preset"], type="string", pattern="^[a-z_]+$"),
        "as_of": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$",
            description="Candles closed by then, UTC. Empty: the last midnight before the run.",
        ),
    },
    tags=["xrl"],
    doc_md="""
### Retraining
Every Monday, or by hand with parameters, e.g.
`{"world": "planted", "days": 720, "as_of": "2026-10-01T00:00:00Z"}`.

1. **workspace**: a git worktree at the current commit under `var/workspaces/`, with these parameters in its
   `params.yaml`. Uncommitted changes are not in it (the log warns).
2. **one task per stage member of `dvc.yaml`**: `dvc repro --single-item`. What has not changed comes from
   DVC's cache in a second. At most two run at a time (pool `training`); a killed one is cleaned up and run
   again.
3. **register**: pushes data and run-cache to the DVC remote, writes the MLflow run and the model version.
   That is the candidate which `promote` judges.
""",
)
def retrain() -> None:
    workspace = BashOperator(
        task_id="workspace",
        bash_command='exec xrl workspace --run-id "$RUN_ID" --venue "$VENUE" --world "$WORLD" '
        '--symbols "$SYMBOLS" --days "$DAYS" --preset "$PRESET" --as-of "$AS_OF"',
        env={
            "RUN_ID": "{{ run_id }}",
            "VENUE": "{{ params.venue }}",
            "WORLD": "{{ params.world }}",
            "SYMBOLS": "{{ params.symbols | join(',') }}",
            "DAYS": "{{ params.days }}",
            "PRESET": "{{ params.preset }}",
            "AS_OF": "{{ params.as_of or dag_run.run_after.strftime('%Y-%m-%dT00:00:00Z') }}",
        },
        cwd=str(ROOT),
        append_env=True,
        inlets=[Asset("xrl-market")],  # shows in the asset graph; the weekly clock starts the run
        doc_md="Prints the workspace's folder in its last line, which the other tasks read.",
    )
    register = BashOperator(
        task_id="register",
        bash_command="dvc push --quiet --run-cache && exec xrl register",
        cwd=WORKSPACE,
        env={"PYTHONPATH": WORKSPACE},
        append_env=True,
        do_xcom_push=False,
        outlets=[Asset("xrl-candidate")],
        doc_md="Cache and run-cache to the DVC remote; MLflow run and model version from the files on disk.",
    )
    stages = members(STAGES, PARAMS)
    tasks = {
        member.target: BashOperator(
            task_id=member.task_id,
            bash_command=f"exec python -m ops.stage {member.target}",
            cwd=WORKSPACE,
            env={"PYTHONPATH": WORKSPACE},
            append_env=True,
            do_xcom_push=False,
            pool="training",
            doc_md=f"`dvc repro --single-item {member.target}`, which runs `{member.cmd}`",
        )
        for member in stages
    }
    for member in stages:
        before = [tasks[other.target] for other in stages if other != member and member.needs(other)]
        (before or workspace) >> tasks[member.target]
    used = {other.target for other in stages for member in stages if member != other and member.needs(other)}
    [tasks[member.target] for member in stages if member.target not in used] >> register


retrain()
