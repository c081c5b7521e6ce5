"""The DAGs as Airflow reads them, in a process of its own: Airflow takes over logging and warnings."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from xrl.__main__ import app
from xrl.config import Config

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE_DVC = {"workspace", "register"}  # Airflow tasks of `retrain` that meet the outside world

READ_DAGS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag(dag_folder=sys.argv[1], bundle_name="dags-folder")
json.dump({
    "errors": {str(path): text for path, text in bag.import_errors.items()},
    "loaded": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
    "dags": {dag.dag_id: {
        "doc": dag.doc_md or "",
        "timetable": type(dag.timetable).__name__,
        "tasks": {task.task_id: {
            "upstream": sorted(task.upstream_task_ids),
            "pool": task.pool,
            "retries": task.retries,
            "doc": task.doc_md or "",
            "command": getattr(task, "bash_command", "") or "",
            "outlets": [asset.name for asset in task.outlets],
        } for task in dag.tasks},
    } for dag in bag.dags.values()},
}, sys.stdout)
"""

READ_DVC = """
import json, sys
from dvc.repo import Repo
graph = Repo(sys.argv[1]).index.graph
needs = {stage.name: sorted(other.name for other in graph.successors(stage)) for stage in graph}
json.dump(needs, sys.stdout)
"""


def _printed_json(program: str, argument: Path, home: Path) -> Any:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(argument)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(done.stderr[-3000:])
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found: dict[str, Any] = _printed_json(READ_DAGS, ROOT / "dags", tmp_path_factory.mktemp("airflow"))
    return found


@pytest.fixture(scope="module")
def dvc_graph(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    found: dict[str, list[str]] = _printed_json(READ_DVC, ROOT, tmp_path_factory.mktemp("dvc"))
    return found


@pytest.fixture(scope="module")
def stage_names() -> list[str]:
    return list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])


def test_every_dag_is_read_without_error(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {"market_data", "retrain", "promote"}


def test_reading_the_dags_loads_nothing_heavy(bag: dict[str, Any]) -> None:
    heavy = {"tensorflow", "torch", "keras", "ccxt", "mlflow", "great_expectations", "pandas", "dvc", "xrl"}
    assert heavy.isdisjoint(bag["loaded"])


def test_dags_import_only_airflow_yaml_and_the_standard_library() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for name in names:
                allowed = name.split(".")[0] in sys.stdlib_module_names or name == "yaml"
                assert allowed or re.match(r"airflow\.(sdk|providers\.standard)\b", name), (
                    f"{path.name}: {name}"
                )


def test_retrain_has_one_task_for_each_member_of_each_stage(
    bag: dict[str, Any], dvc_graph: dict[str, list[str]]
) -> None:
    tasks = set(bag["dags"]["retrain"]["tasks"]) - OUTSIDE_DVC
    assert tasks == {name.replace("@", ".") for name in dvc_graph}
    assert "experts.0-pattern" in tasks


def test_retrain_has_the_dependencies_that_dvc_has(
    bag: dict[str, Any], dvc_graph: dict[str, list[str]]
) -> None:
    tasks = bag["dags"]["retrain"]["tasks"]
    for name, needed in dvc_graph.items():
        expected = sorted(other.replace("@", ".") for other in needed) or ["workspace"]
        assert tasks[name.replace("@", ".")]["upstream"] == expected
    assert tasks["register"]["upstream"] == ["bundle", "report"]


def test_retrain_runs_dvc_for_one_member_at_a_time_in_the_pool(bag: dict[str, Any]) -> None:
    task = bag["dags"]["retrain"]["tasks"]["experts.0-pattern"]
    assert task["command"] == "exec python -m ops.stage experts@0-pattern"
    assert task["pool"] == "training"
    assert task["retries"] >= 2


def test_stage_params_section_and_command_bear_the_same_name(stage_names: list[str]) -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(stage_names) <= commands
    own = set(stage_names) - {"refit", "report"}  # which repeat what the others' sections say
    assert own == set(Config.model_fields) - {"market", "pull", "validation", "gate"}
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert all(stages[name]["cmd"].split()[:2] == ["xrl", name] for name in stage_names)
    for name in own:
        assert name in stages[name]["params"] or any(name in str(item) for item in stages[name]["params"])


def test_a_registered_candidate_starts_the_promotion(bag: dict[str, Any]) -> None:
    assert bag["dags"]["retrain"]["tasks"]["register"]["outlets"] == ["xrl-candidate"]
    assert bag["dags"]["promote"]["timetable"] == "AssetTriggeredTimetable"
    assert bag["dags"]["promote"]["tasks"]["promote"]["upstream"] == ["gate"]


def test_a_pulled_market_is_announced_once(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["market_data"]["tasks"]
    assert tasks["updated"]["outlets"] == ["xrl-market"]
    assert tasks["updated"]["upstream"] == ["pull"]


def test_every_dag_and_stage_explains_itself(bag: dict[str, Any]) -> None:
    for dag in bag["dags"].values():
        assert dag["doc"].strip().startswith("###")
    assert all(task["doc"] for task in bag["dags"]["retrain"]["tasks"].values())


def test_ops_keeps_no_constant_of_the_pool_that_the_dag_does_not_use() -> None:
    from ops.servers import POOL

    assert f'pool="{POOL}"' in inspect.cleandoc((ROOT / "dags" / "retrain.py").read_text())
