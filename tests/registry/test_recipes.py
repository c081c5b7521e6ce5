"""What the tracking store remembers of a model's recipes, on a real MLflow database."""

import io
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.registry.evidence import track
from tests.serve import tiny
from xrl.registry.bundle import write_bundle
from xrl.registry.comparison import daily_series
from xrl.registry.promotion import judge_version
from xrl.registry.recipes import tried_beside
from xrl.registry.store import Store
from xrl.registry.version import Version
from xrl.serve.predictor import replay_bundle
from xrl.tracking import Run, log_run

NAME = "xrl-planted"


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Store(f"sqlite:///{tmp_path / 'mlflow.db'}")


def recorded(store: Store, folder: Path, recipe: str | None, table: pd.DataFrame | None = None) -> Version:
    """A version whose run holds a track alone."""
    folder.mkdir()
    if table is not None:
        table.to_parquet(folder / "track.parquet", index=False)
    tags = {} if recipe is None else {"recipe": recipe}
    run = log_run(store.client, store.url, Run(NAME, "test", {}, {}, tags, {"bundle": folder}))
    return store.create(NAME, run, {"digest": folder.name})


def test_each_recipe_counts_once_and_its_newest_run_tells_its_returns(store: Store, tmp_path: Path) -> None:
    recorded(store, tmp_path / "a1", "recipe-a", track(seed=1))
    recorded(store, tmp_path / "b", "recipe-b", track(seed=2))
    recorded(store, tmp_path / "a2", "recipe-a", track(seed=3))
    candidate = recorded(store, tmp_path / "c", "recipe-c", track(seed=4))
    found = tried_beside(store, candidate)
    assert found is not None
    assert sorted(found.returns) == ["recipe-a", "recipe-b"]
    assert not found.lost
    pd.testing.assert_series_equal(found.returns["recipe-a"], daily_series(track(seed=3)))


def test_what_was_deleted_damaged_or_never_said_its_recipe_still_counts(store: Store, tmp_path: Path) -> None:
    deleted = recorded(store, tmp_path / "deleted", "recipe-a", track(seed=1))
    store.client.delete_model_version(NAME, deleted.number)
    store.client.delete_run(deleted.run_id)
    recorded(store, tmp_path / "gone", "recipe-b")
    damaged = recorded(store, tmp_path / "damaged", "recipe-c", track())
    uri = store.client.get_run(damaged.run_id).info.artifact_uri.removeprefix("file://")
    (Path(uri) / "bundle" / "track.parquet").write_bytes(b"damaged")
    recorded(store, tmp_path / "other", "recipe-d", pd.DataFrame({"equity": [1.0]}))
    silent = recorded(store, tmp_path / "silent", None, track(seed=2))
    found = tried_beside(store, recorded(store, tmp_path / "candidate", "recipe-e", track()))
    assert found is not None
    assert set(found.returns) == {"recipe-a", silent.run_id}
    assert found.lost == {"recipe-b", "recipe-c", "recipe-d"}


def test_without_any_recorded_run_the_trials_are_unknown(store: Store) -> None:
    assert tried_beside(store, Version(NAME, "1", "no-run", {})) is None


def test_a_promotion_weighs_the_candidate_against_all_that_was_tried(store: Store, tmp_path: Path) -> None:
    """The same modest track passes as a first try and is refused after forty unrelated ones."""
    content = io.BytesIO()
    track(drift=0.00025).to_parquet(content, index=False)
    bundle = write_bundle(tmp_path / "bundle", {**tiny.files(), "track.parquet": content.getvalue()})
    tags = {"digest": bundle.digest, "recipe": "own"}
    run = log_run(store.client, store.url, Run(NAME, "test", {}, {}, tags, {"bundle": bundle.path}))
    version = store.create(NAME, run, tags)
    first = judge_version(store, version, replay_bundle, tiny.CONFIG.gate).decision
    assert first.promote, [check.sentence() for check in first.refusals]
    for k in range(40):
        log_run(store.client, store.url, Run(NAME, "test", {}, {}, {"recipe": f"recipe-{k}"}))
    then = judge_version(store, version, replay_bundle, tiny.CONFIG.gate).decision
    assert [check.name for check in then.refusals] == ["deflated_sharpe"]
    [trials] = [check for check in then.checks if check.name == "effective_trials"]
    assert trials.figure == 41
