"""Follow a run of Airflow task by task, in the terminal or line by line in a log."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rich.console import Console

from ops.airflow_api import FINISHED, Airflow
from ops.errors import AirflowError

POLL_S = 1.0
_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")


class Meanwhile(NamedTuple):
    """What to start beside a run, once its task `after` is done."""

    after: str
    start: Callable[[], object]


def follow(
    airflow: Airflow, dag: str, run_id: str, console: Console, meanwhile: Meanwhile | None = None
) -> None:
    """Print each task as it ends, with its seconds, until the run ends.

    Raises:
        AirflowError: the run failed; the end of each failing task's log has been printed.
    """
    begin, told = time.monotonic(), set[tuple[str, int, str]]()
    with console.status(f"{dag}: queued") as status:
        while True:
            state = airflow.run_state(dag, run_id)
            tasks = airflow.tasks(dag, run_id)
            for task in tasks:
                _tell(task, told, console)
                if meanwhile and (task["task_id"], task["state"]) == (meanwhile.after, "success"):
                    meanwhile.start()
                    meanwhile = None
            if state in FINISHED:
                break
            status.update(_now(dag, tasks, time.monotonic() - begin))
            time.sleep(POLL_S)
    if state == "failed":
        missed = sum(task["state"] == "upstream_failed" for task in tasks)
        console.print(f"  {missed} tasks behind it were not run", highlight=False)
        for task in tasks:
            if task["state"] == "failed":
                console.print(f"\nlog of {_name(task)}:", style="bold red")
                console.print(airflow.log_tail(task), markup=False, highlight=False)
        raise AirflowError(f"the run {run_id} of {dag} failed; see {airflow.url}/dags/{dag}/runs/{run_id}")
    console.print(f"  {dag} done in {time.monotonic() - begin:.0f} s", highlight=False)


def wait_for(what: str, found: Callable[[], str | None], timeout_s: float) -> str:
    """Poll `found` until it returns something.

    Raises:
        AirflowError: nothing within `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while (value := found()) is None:
        if time.monotonic() > deadline:
            raise AirflowError(f"{what}: nothing after {timeout_s:.0f} s; see the logs below var/log")
        time.sleep(0.3)
    return value


def _tell(task: dict[str, Any], told: set[tuple[str, int, str]], console: Console) -> None:
    state, number = task["state"], task["try_number"] or 0
    if state not in ("success", "failed", "skipped", "up_for_retry") or (_name(task), number, state) in told:
        return
    told.add((_name(task), number, state))
    colour = {"success": "green", "failed": "red", "up_for_retry": "yellow"}.get(state, "dim")
    seconds = f"{task['duration'] or 0:6.1f} s"
    again = f" (try {number})" if number > 1 else ""
    console.print(f"  [{colour}]{state:<8}[/] {_name(task):<24}{seconds}{again}", highlight=False)


def _now(dag: str, tasks: list[dict[str, Any]], elapsed_s: float) -> str:
    running = [_name(task) for task in tasks if task["state"] == "running"]
    ended = sum(task["state"] in _ENDED for task in tasks)
    return f"{dag}: {ended} of {len(tasks)} tasks, {elapsed_s:.0f} s; now {', '.join(running) or 'waiting'}"


def _name(task: dict[str, Any]) -> str:
    label = task.get("rendered_map_index") or (task["map_index"] if task["map_index"] >= 0 else None)
    return str(task["task_id"]) if label is None else f"{task['task_id']} [{label}]".replace("[", r"\[")
