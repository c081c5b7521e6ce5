"""The model registry: versions of one registered model a market, and the aliases `champion` and `challenger`.

Enters: names, versions, tags. Leaves: the same from the MLflow registry, bundles downloaded and verified, and
the runs behind them. With `tracking` the only module that speaks to MLflow.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import pandas as pd
import requests
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode

from xrl.errors import BundleError, RegistryError
from xrl.registry.bundle import SCHEMA, Bundle, canonical_json, open_bundle
from xrl.registry.version import Version
from xrl.tracking import connect, without_password

MODEL_PREFIX: Final = "xrl-"
#: Folder of the run that holds the bundle.
BUNDLE_FOLDER: Final = "bundle"


class RecordedRun(NamedTuple):
    """A run in the tracking store: the recipe that it trained, if it says so, and whether it is complete."""

    id: str
    recipe: str | None
    digest: str | None  # of its bundle
    finished: bool


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _answered(
    method: "Callable[Concatenate[Store, _P], _T]",
) -> "Callable[Concatenate[Store, _P], _T]":
    """Turn what MLflow raises into a `RegistryError` that names the server."""

    def call(self: "Store", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(self, *args, **kwargs)
        except (MlflowException, requests.RequestException) as error:
            shown = without_password(self.url)
            raise RegistryError(f"the model registry at {shown} did not do as asked: {error}") from error

    return call


class Store:
    """The registry at `url`. Every method raises RegistryError when it is unreachable or refuses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = connect(url)

    @_answered
    def models(self) -> tuple[str, ...]:
        """Names of all registered models of ours, in alphabetical order."""
        found = self.client.search_registered_models(filter_string=f"name LIKE '{MODEL_PREFIX}%'")
        return tuple(sorted(str(model.name) for model in found))

    @_answered
    def aliases(self, name: str) -> dict[str, str]:
        """Version numbers by alias; empty when nothing was ever registered under `name`."""
        try:
            found = self.client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return {}
            raise
        return {str(alias): str(number) for alias, number in found.items()}

    @_answered
    def version(self, name: str, number: str) -> Version:
        return _version(self.client.get_model_version(name, number))

    def aliased(self, name: str, alias: str) -> Version | None:
        """The version that bears `alias`, if any."""
        number = self.aliases(name).get(alias)
        return None if number is None else self.version(name, number)

    @_answered
    def with_digest(self, name: str, digest: str) -> Version | None:
        """The newest version registered for exactly this bundle, if any."""
        found = self.client.search_model_versions(
            f"name = '{name}' AND tags.digest = '{digest}'", order_by=["version_number DESC"], max_results=1
        )
        return _version(found[0]) if found else None

    @_answered
    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions registered under `name`, oldest first."""
        found, token = [], None
        while True:
            page = self.client.search_model_versions(f"name = '{name}'", page_token=token)
            found += page
            token = page.token
            if not token:
                return tuple(sorted(map(_version, found), key=lambda version: int(version.number)))

    @_answered
    def create(self, name: str, run_id: str, tags: Mapping[str, str]) -> Version:
        """A new version out of the bundle that the run `run_id` holds."""
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{BUNDLE_FOLDER}"
        made = self.client.create_model_version(name, source, run_id=run_id, tags=dict(tags))
        return _version(made)

    @_answered
    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.client.set_model_version_tag(version.name, version.number, key, value)

    @_answered
    def untag(self, version: Version, key: str) -> None:
        if key in version.tags:
            self.client.delete_model_version_tag(version.name, version.number, key)

    @_answered
    def set_alias(self, version: Version, alias: str) -> None:
        self.client.set_registered_model_alias(version.name, alias, version.number)

    @_answered
    def drop_alias(self, version: Version, alias: str) -> None:
        """Take `alias` from `version`; one that names another version by now stays where it is."""
        if self.aliases(version.name).get(alias) == version.number:
            self.client.delete_registered_model_alias(version.name, alias)

    @_answered
    def fetch(self, version: Version, folder: Path, schemas: Collection[int] = (SCHEMA,)) -> Bundle:
        """Download the bundle of `version` below `folder` and verify it; `schemas`: those that will do.

        Raises:
            BundleError: it is incomplete or was changed since it was registered.
        """
        path = Path(self.client.download_artifacts(version.run_id, BUNDLE_FOLDER, str(folder)))
        return open_bundle(path, version.digest, schemas)

    @_answered
    def write_json(self, version: Version, name: str, value: Mapping[str, Any]) -> None:
        """Put `value` as the artifact `name`, e.g. `gate/decision.json`, beside the version's bundle."""
        folder, _, file = name.rpartition("/")
        with tempfile.TemporaryDirectory() as aside:
            path = Path(aside) / file
            path.write_bytes(canonical_json(value))
            self.client.log_artifact(version.run_id, str(path), folder)

    @_answered
    def runs(self, name: str) -> tuple[RecordedRun, ...]:
        """All runs ever recorded for the model `name`, deleted ones too, oldest first; empty without any."""
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return ()
        found: list[MlflowRun] = []
        token = None
        while True:
            page = self.client.search_runs(
                [experiment.experiment_id],
                run_view_type=ViewType.ALL,
                order_by=["start_time ASC"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return tuple(_recorded(run) for run in found)

    @_answered
    def track(self, run_id: str, digest: str) -> pd.DataFrame | None:
        """The track in the bundle that a run holds; None where the bundle is gone or not that of `digest`."""
        with tempfile.TemporaryDirectory() as aside:
            try:
                path = Path(self.client.download_artifacts(run_id, BUNDLE_FOLDER, aside))
                return pd.read_parquet(open_bundle(path, expected_digest=digest).path / "track.parquet")
            except (
                MlflowException,
                BundleError,
                OSError,
                ValueError,
            ):  # pyarrow's own are among the last two
                return None

    @_answered
    def read_json(self, version: Version, name: str) -> Any:
        with tempfile.TemporaryDirectory() as aside:
            return json.loads(Path(self.client.download_artifacts(version.run_id, name, aside)).read_bytes())


def _recorded(run: MlflowRun) -> RecordedRun:
    tags, finished = run.data.tags, run.info.status == "FINISHED"
    return RecordedRun(str(run.info.run_id), tags.get("recipe"), tags.get("digest"), finished)


def _version(found: ModelVersion) -> Version:
    return Version(str(found.name), str(found.version), str(found.run_id), dict(found.tags))
