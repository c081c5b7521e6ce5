"""Truths of what a run records, and of what is never shown."""

import pytest

from xrl.errors import RegistryError
from xrl.tracking import Run, connect, flatten, log_run, numbers, without_password


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the module: MLflow takes seconds to create its tables."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def test_nested_values_become_one_level() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None}) == {"a.b": 1, "a.c.d": [1, 2], "e": None}


def test_only_numbers_are_metrics() -> None:
    found = numbers(
        {"trading": {"sharpe": {"value": 1, "low": -0.5}}, "start": "2024", "ceiling": None, "ok": True}
    )
    assert found == {"trading/sharpe/value": 1.0, "trading/sharpe/low": -0.5}


def test_a_password_in_an_address_is_not_shown() -> None:
    assert without_password("https://me:secret@host:5000/x") == "https://host:5000/x"
    assert without_password("http://127.0.0.1:4320") == "http://127.0.0.1:4320"
    assert without_password("sqlite:////tmp/m.db") == "sqlite:////tmp/m.db"
    with pytest.raises(RegistryError) as caught:
        connect("http://me:secret@127.0.0.1:9")
    assert "no MLflow server at http://127.0.0.1:9 " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_more_values_than_a_batch_are_all_recorded(url: str) -> None:
    client = connect(url)
    many = {f"p{i}": i for i in range(250)}
    figures = {f"m{i}": float(i) for i in range(1200)}
    run_id = log_run(client, url, Run("many", "one", many, figures, {"tag": "x"}))
    found = client.get_run(run_id).data
    assert (len(found.params), len(found.metrics), found.tags["tag"]) == (250, 1200, "x")


def test_a_curve_keeps_its_steps(url: str) -> None:
    client = connect(url)
    curves = {"training/0-pattern/0-7/train_loss": {1: 1.10, 2: 1.05, 3: 1.04}}
    run_id = log_run(client, url, Run("curves", "one", {}, {}, {}, curves=curves))
    found = client.get_metric_history(run_id, "training/0-pattern/0-7/train_loss")
    assert [(point.step, point.value) for point in found] == [(1, 1.10), (2, 1.05), (3, 1.04)]


def test_a_run_that_is_refused_is_marked_failed(url: str) -> None:
    client = connect(url)
    run = Run("broken", "one", {"a b?": 1, "bad\nkey": 2}, {}, {})
    with pytest.raises(RegistryError, match="did not record the run"):
        log_run(client, url, run)
    [found] = client.search_runs([client.get_experiment_by_name("broken").experiment_id])
    assert found.info.status == "FAILED"
