"""The MLflow run of a candidate: what went in, what came out, where it came from.

Enters: plain values and files of a finished training. Leaves: one run on the tracking server. With
`registry.store` the only module that speaks to MLflow.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xrl.errors import RegistryError

# MLflow reads these when it is imported or first asked: no telemetry, and an error within seconds.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"  # bars in a log are noise

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

_PARAMS_A_BATCH = 100
_METRICS_A_BATCH = 1000
_VALUE_CHARACTERS = 6000
_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Run:
    """What one run records.

    `artifacts` maps a folder of the run to the local file or folder put there, `curves` a metric to its value
    at each step, such as an epoch.
    """

    experiment: str
    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    tags: Mapping[str, str]
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


def connect(url: str) -> MlflowClient:
    """A client of the tracking server and registry at `url` (http(s):// or sqlite:///).

    Raises:
        RegistryError: nothing listens at `url`.
    """
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            raise RegistryError(
                f"no MLflow server at {without_password(url)} ({error}); start the servers with `make up`, "
                "or name another one in XRL_MLFLOW_URL"
            ) from error
    return MlflowClient(tracking_uri=url, registry_uri=url)


def without_password(url: str) -> str:
    """`url` as it may be shown: user and password, if it holds any, left out."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + mark + host.rpartition("@")[2] + slash + path


def log_run(client: MlflowClient, url: str, run: Run) -> str:
    """Record `run` and return its id; on an error the run is closed as failed.

    Raises:
        RegistryError: the server refuses or stops answering.
    """
    try:
        experiment = _experiment_id(client, url, run.experiment)
        run_id = str(client.create_run(experiment, tags=dict(run.tags), run_name=run.name).info.run_id)
        try:
            _log(client, run_id, run)
        except MlflowException:
            client.set_terminated(run_id, status="FAILED")
            raise
        client.set_terminated(run_id)
    except MlflowException as error:
        raise RegistryError(f"MLflow at {without_password(url)} did not record the run: {error}") from error
    return run_id


def flatten(values: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    """Nested mappings as one level, `{"a": {"b": 1}}` -> `{"a.b": 1}`."""
    return dict(_leaves(values, "", separator))


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a nested mapping, named `a/b` so that MLflow groups them by their first word."""
    return {
        name: float(value)
        for name, value in flatten(values, "/").items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _log(client: MlflowClient, run_id: str, run: Run) -> None:
    params = [Param(key, str(value)[:_VALUE_CHARACTERS]) for key, value in flatten(run.params).items()]
    for start in range(0, len(params), _PARAMS_A_BATCH):
        client.log_batch(run_id, params=params[start : start + _PARAMS_A_BATCH])
    metrics = [Metric(key, value, 0, 0) for key, value in numbers(run.metrics).items()]
    metrics += [Metric(key, value, 0, step) for key, own in run.curves.items() for step, value in own.items()]
    for start in range(0, len(metrics), _METRICS_A_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_BATCH])
    for folder, path in run.artifacts.items():
        if path.is_dir():
            client.log_artifacts(run_id, str(path), folder)
        else:
            client.log_artifact(run_id, str(path), folder)


def _experiment_id(client: MlflowClient, url: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None
    if url.startswith("sqlite:///"):  # a database without a server: keep artifacts beside it, not in ./mlruns
        location = (Path(url.removeprefix("sqlite:///")).parent / "artifacts" / name).as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        found = client.get_experiment_by_name(name)  # another register was first
        if found is None:
            raise
        return str(found.experiment_id)


def _leaves(values: Mapping[str, Any], prefix: str, separator: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{separator}{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, name, separator)
        else:
            yield name, value
