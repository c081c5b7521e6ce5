"""What ledger and tracking store remember of a model's recipes, on a real MLflow database."""

import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.registry.evidence import track
from tests.registry.workspace import finished
from tests.serve import tiny
from xrl import chain
from xrl.errors import BundleError, ConfigError, DataError
from xrl.paths import Paths
from xrl.registry import ledger
from xrl.registry.adoption import adopt
from xrl.registry.bundle import REQUIRED, Bundle, canonical_json, write_bundle
from xrl.registry.comparison import daily_series
from xrl.registry.evidence import track_of
from xrl.registry.gate import Decision
from xrl.registry.ledger import Registered
from xrl.registry.promotion import judge_version
from xrl.registry.recipes import tried_beside
from xrl.registry.registration import register
from xrl.registry.store import Store
from xrl.registry.trials import Tried
from xrl.registry.version import Version
from xrl.serve.predictor import replay_bundle
from xrl.tracking import Run, log_run

NAME = "xrl-planted"


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Store(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def path(shared: Paths) -> Path:
    """The model's ledger."""
    return shared.ledger(NAME)


def sealed(folder: Path, table: pd.DataFrame | None) -> Bundle:
    """A bundle whose track is `table`, or nothing that can be read; its other files are empty."""
    content = io.BytesIO()
    if table is not None:
        table.to_parquet(content, index=False)
    return write_bundle(folder, {**dict.fromkeys(REQUIRED, b""), "track.parquet": content.getvalue()})


def recorded(store: Store, folder: Path, recipe: str, table: pd.DataFrame | None = None) -> Version:
    """A version whose run holds a bundle with this track, entered in the ledger beside the database."""
    bundle = sealed(folder, table)
    tags = {"recipe": recipe, "digest": bundle.digest}
    run = log_run(store.client, store.url, Run(NAME, "test", {}, {}, tags, {"bundle": folder}))
    entry = Registered("2026-01-01T00:00:00+00:00", NAME, recipe, bundle.digest, run)
    line = ledger.enter(Paths(folder.parent).ledger(NAME), entry)
    return store.create(NAME, run, {**tags, ledger.TAG: line.hash})


def stray(store: Store, folder: Path, table: pd.DataFrame | None = None, **tags: str) -> str:
    """A run that somebody recorded and nobody registered."""
    sealed(folder, table)
    return log_run(store.client, store.url, Run(NAME, "test", {}, {}, tags, {"bundle": folder}))


def tried(store: Store, candidate: Version, path: Path) -> Tried:
    found = tried_beside(store, candidate, path)
    assert found is not None
    return found


def file_of(store: Store, version: Version, name: str) -> Path:
    uri = store.client.get_run(version.run_id).info.artifact_uri.removeprefix("file://")
    return Path(uri) / "bundle" / name


def test_each_recipe_counts_once_and_its_newest_run_tells_its_returns(
    store: Store, tmp_path: Path, path: Path
) -> None:
    recorded(store, tmp_path / "a1", "recipe-a", track(seed=1))
    recorded(store, tmp_path / "b", "recipe-b", track(seed=2))
    recorded(store, tmp_path / "a2", "recipe-a", track(seed=3))
    candidate = recorded(store, tmp_path / "c", "recipe-c", track(seed=4))
    found = tried(store, candidate, path)
    assert sorted(found.returns) == ["recipe-a", "recipe-b"]
    assert found.lost == {"recipe-c"}  # whose own track the gate has
    assert not found.strays and not found.unentered and not found.fault and not found.notes
    pd.testing.assert_series_equal(found.returns["recipe-a"], daily_series(track(seed=3)))


def test_a_newest_run_that_cannot_be_read_leaves_the_word_to_the_one_before(
    store: Store, tmp_path: Path, path: Path
) -> None:
    recorded(store, tmp_path / "a1", "recipe-a", track(seed=1))
    recorded(store, tmp_path / "a2", "recipe-a")
    found = tried(store, recorded(store, tmp_path / "c", "recipe-c", track()), path)
    pd.testing.assert_series_equal(found.returns["recipe-a"], daily_series(track(seed=1)))


def test_deleted_runs_count_and_those_without_returns_are_lost(
    store: Store, tmp_path: Path, path: Path
) -> None:
    deleted = recorded(store, tmp_path / "deleted", "recipe-a", track(seed=1))
    store.client.delete_model_version(NAME, deleted.number)
    store.client.delete_run(deleted.run_id)
    recorded(store, tmp_path / "gone", "recipe-b")
    damaged = recorded(store, tmp_path / "damaged", "recipe-c", track())
    file_of(store, damaged, "track.parquet").write_bytes(b"damaged")
    recorded(store, tmp_path / "other", "recipe-d", pd.DataFrame({"equity": [1.0]}))
    found = tried(store, recorded(store, tmp_path / "candidate", "recipe-e", track()), path)
    assert set(found.returns) == {"recipe-a"}
    assert found.lost == {"recipe-b", "recipe-c", "recipe-d", "recipe-e"}


def changed(column: str, value: object) -> pd.DataFrame:
    """A track one bar of which says something else."""
    table = track(seed=1)
    table[column] = table[column].where(table.index != 7, value)
    return table


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (changed("net_return", np.nan), "1 of its returns are no numbers"),
        (changed("net_return", np.inf), "1 of its returns are no numbers"),
        (changed("net_return", -1.5), "the lowest return of a bar is -1.5"),
        (pd.concat([track(seed=1), track(seed=1)[:3]]), "3 of its bars are there twice"),
    ],
)
def test_a_track_that_no_account_can_have_had_is_lost_and_as_a_candidate_no_bundle(
    store: Store, tmp_path: Path, path: Path, table: pd.DataFrame, why: str
) -> None:
    recorded(store, tmp_path / "a", "recipe-a", table)
    found = tried(store, recorded(store, tmp_path / "b", "recipe-b", track()), path)
    assert found.lost == {"recipe-a", "recipe-b"} and not found.returns
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    with pytest.raises(BundleError, match=why):
        track_of(write_bundle(tmp_path / "bundle", {**tiny.files(), "track.parquet": content.getvalue()}))


def test_a_recipe_that_lost_everything_is_remembered_with_it(
    store: Store, tmp_path: Path, path: Path
) -> None:
    """Both accounts are liquidated in bar 41: the portfolio stands at 0 from then on."""
    ruined = track(seed=1)
    ruined.loc[ruined["timestamp"] == ruined["timestamp"][41], "net_return"] = -1.0
    recorded(store, tmp_path / "a", "recipe-a", ruined)
    own = tried(store, recorded(store, tmp_path / "b", "recipe-b", track()), path).returns["recipe-a"]
    assert len(own) == 120
    assert own.iloc[10] == -1.0  # four bars a day
    assert (own.iloc[11:] == 0.0).all() and (own.iloc[:10] != 0.0).all()


def test_runs_that_nobody_registered_count_as_tries_of_their_own(
    store: Store, tmp_path: Path, path: Path
) -> None:
    silent = stray(store, tmp_path / "silent", track(seed=2))
    empty = stray(store, tmp_path / "empty")
    failed = stray(store, tmp_path / "failed", recipe="recipe-f")
    store.client.set_terminated(failed, status="FAILED")
    found = tried(store, recorded(store, tmp_path / "c", "recipe-c", track()), path)
    assert not found.returns
    assert found.strays == {silent, empty, "recipe-f"}
    assert not found.unentered


def test_what_a_recipe_earned_is_told_by_its_registered_bundle_alone(
    store: Store, tmp_path: Path, path: Path
) -> None:
    """A later run of the same name, or another track put into the registered one, says nothing."""
    old = recorded(store, tmp_path / "old", "recipe-a", track(seed=1))
    candidate = recorded(store, tmp_path / "candidate", "recipe-b", track(seed=2))
    stray(store, tmp_path / "stray", track(seed=2), recipe="recipe-a", digest=candidate.digest)
    found = tried(store, candidate, path)
    pd.testing.assert_series_equal(found.returns["recipe-a"], daily_series(track(seed=1)))
    assert not found.strays and not found.unentered
    track(seed=2).to_parquet(file_of(store, old, "track.parquet"), index=False)
    assert "recipe-a" in tried(store, candidate, path).lost


def test_without_any_record_the_trials_are_unknown(store: Store, path: Path) -> None:
    assert tried_beside(store, Version(NAME, "1", "no-run", {}), path) is None


def decided(store: Store, version: Version, shared: Paths) -> Decision:
    return judge_version(store, version, replay_bundle, tiny.CONFIG.gate, shared).decision


def refusal(decision: Decision) -> tuple[str, str]:
    [check] = decision.refusals
    return check.name, check.reason


def test_a_fresh_deployment_starts_its_ledger_and_promotes(store: Store, shared: Paths, path: Path) -> None:
    assert not path.exists()
    version = register(*finished(shared.root / "one"), store).version
    assert decided(store, version, shared).promote
    [line] = ledger.read(path)
    assert (line.entry.digest, line.entry.run) == (version.digest, version.run_id)
    assert (line.entry.recipe, line.hash) == (version.tags["recipe"], version.tags[ledger.TAG])
    register(*finished(shared.root / "again"), store)
    assert ledger.read(path) == (line,)  # the identical bundle is no new registration


def two(store: Store, shared: Paths) -> tuple[Version, Version]:
    """Two registered versions of two recipes; the second waits for the gate."""
    config, paths = finished(shared.root / "one")
    first = register(config, paths, store).version
    config, paths = finished(shared.root / "two", seed=1)
    files = tiny.files(1)
    lineage = canonical_json({**json.loads(files["lineage.json"]), "source": "other code"})
    write_bundle(paths.bundle, {**files, "lineage.json": lineage})
    second = register(config, paths, store).version
    assert first.tags["recipe"] != second.tags["recipe"]
    assert decided(store, second, shared).promote
    return first, second


def test_a_missing_ledger_refuses_and_says_what_to_do(store: Store, shared: Paths, path: Path) -> None:
    _, second = two(store, shared)
    path.unlink()
    name, reason = refusal(decided(store, second, shared))
    assert name == "ledger"
    assert "though 2 runs of this model are recorded: bring it back from a backup" in reason


def test_a_ledger_begun_anew_misses_what_the_store_still_has(store: Store, shared: Paths, path: Path) -> None:
    first, second = two(store, shared)
    lines = path.read_text().splitlines()
    path.unlink()
    ledger.enter(path, Registered("2026-01-01", NAME, second.tags["recipe"], second.digest, second.run_id))
    name, reason = refusal(decided(store, second, shared))
    assert name == "ledger"
    assert first.tags["recipe"][:12] in reason
    path.write_text(lines[0] + "\n")  # or cut short
    name, reason = refusal(decided(store, second, shared))
    assert name == "ledger" and second.tags["recipe"][:12] in reason


def test_a_ledger_written_anew_without_a_recipe_that_was_purged_is_found_by_the_hashes(
    store: Store, shared: Paths, path: Path
) -> None:
    """Both records agree on what is left, but the version that is left bears the hash of a longer chain."""
    first, second = two(store, shared)
    purge(store, first)
    path.unlink()
    ledger.enter(path, Registered("2026-01-01", NAME, second.tags["recipe"], second.digest, second.run_id))
    name, reason = refusal(decided(store, second, shared))
    assert name == "ledger" and second.tags["recipe"][:12] in reason


def purge(store: Store, version: Version) -> None:
    """What `mlflow gc` leaves of a version: nothing."""
    store.client.delete_model_version(NAME, version.number)
    store.client._tracking_client.store._hard_delete_run(version.run_id)


def test_a_broken_chain_refuses_and_nothing_is_registered_on_it(
    store: Store, shared: Paths, path: Path
) -> None:
    _, second = two(store, shared)
    path.write_text(path.read_text().replace("2", "3", 1))
    name, reason = refusal(decided(store, second, shared))
    assert name == "ledger" and "line 1: it was changed" in reason
    before = store.runs(NAME)
    with pytest.raises(DataError, match="line 1: it was changed"):
        register(*finished(shared.root / "three", seed=2), store)
    assert store.runs(NAME) == before


def test_a_recipe_that_the_store_no_longer_has_is_lost_and_refuses(store: Store, shared: Paths) -> None:
    first, second = two(store, shared)
    purge(store, first)
    name, reason = refusal(decided(store, second, shared))
    assert name == "lost_recipes"
    assert first.tags["recipe"][:12] in reason and "register them again" in reason
    register(*finished(shared.root / "back"), store)  # the very bundle, out of its workspace
    assert decided(store, second, shared).promote


def test_an_older_deployment_adopts_what_its_store_has_and_every_decision_says_so(
    store: Store, shared: Paths, path: Path
) -> None:
    first, second = two(store, shared)
    path.unlink()
    with pytest.raises(ConfigError, match="--reason"):
        adopt(store, NAME, path, " ")
    store.client.delete_model_version(NAME, first.number)  # its run is left
    made = adopt(store, NAME, path, "older than its ledger")
    assert {line.entry.recipe for line in made} == {first.tags["recipe"], second.tags["recipe"]}
    assert adopt(store, NAME, path, "once more") == ()
    decision = decided(store, store.version(NAME, second.number), shared)
    assert decision.promote
    [note] = decision.notes
    assert note.startswith("2 of 2 lines of the ledger were written afterwards")
    assert "older than its ledger" in note


def test_a_registration_that_was_cut_short_is_done_by_the_next(store: Store, shared: Paths) -> None:
    """A run without line or version: the server went away in between."""
    config, paths = finished(shared.root / "one")
    version = register(config, paths, store).version
    orphan = {"recipe": version.tags["recipe"], "digest": version.digest}
    log_run(store.client, store.url, Run(NAME, "test", {}, {}, orphan))
    assert decided(store, version, shared).promote


MONDAYS = {"BTCUSDT": {"2024-01-01": "aa" * 8, "2024-01-08": "bb" * 8}}


def elsewhere(
    store: Store,
    folder: Path,
    recipe: str,
    bars: dict[str, dict[str, str]],
    table: pd.DataFrame | None = None,
) -> None:
    """A registration of another model, trained on `bars`."""
    bundle, name = sealed(folder, table), "xrl-scratch"
    tags = {"recipe": recipe, "digest": bundle.digest}
    run = log_run(store.client, store.url, Run(name, "test", {}, {}, tags, {"bundle": folder}))
    entry = Registered("2026-01-01", name, recipe, bundle.digest, run, venue="sandbox/planted", bars=bars)
    ledger.enter(Paths(folder.parent).ledger(name), entry)


def on_mondays(store: Store, folder: Path) -> Version:
    """A candidate that was trained on MONDAYS."""
    config, paths = finished(folder)
    lineage = json.loads(tiny.files()["lineage.json"])
    lineage["data"]["prints"] = MONDAYS
    write_bundle(paths.bundle, {**tiny.files(), "lineage.json": canonical_json(lineage)})
    return register(config, paths, store).version


def test_what_was_tried_on_the_same_bars_under_another_name_counts(
    store: Store, tmp_path: Path, path: Path
) -> None:
    candidate = on_mondays(store, tmp_path / "candidate")
    assert [line.entry.bars for line in ledger.read(path)] == [MONDAYS]
    elsewhere(store, tmp_path / "a", "recipe-a", {"XBT": {"2024-01-08": "bb" * 8}}, track(seed=1))
    elsewhere(store, tmp_path / "b", "recipe-b", {"BTCUSDT": {"2024-01-01": "cc" * 8}}, track(seed=2))
    elsewhere(store, tmp_path / "c", "recipe-c", MONDAYS)  # nobody can say what it earned
    elsewhere(store, tmp_path / "old", "recipe-old", {}, track(seed=3))  # of before bars were written down
    log_run(store.client, store.url, Run("xrl-scratch", "unregistered", {}, {}, {"recipe": "recipe-d"}))
    found = tried(store, candidate, path)
    assert set(found.returns) == {"recipe-a", "recipe-old"}
    assert found.lost - {candidate.tags["recipe"]} == {"recipe-c"}
    lost = next(check for check in decided(store, candidate, Paths(tmp_path)).refusals)
    assert lost.name == "lost_recipes" and "some are of xrl-scratch" in lost.reason
    assert found.strays == {"recipe-d"}
    assert found.notes == ("3 recipes of xrl-scratch were tried on the same bars and count as well",)


def test_a_model_of_other_bars_is_no_matter_and_a_damaged_ledger_beside_refuses(
    store: Store, tmp_path: Path, path: Path
) -> None:
    candidate = on_mondays(store, tmp_path / "candidate")
    elsewhere(store, tmp_path / "b", "recipe-b", {"BTCUSDT": {"2024-01-01": "cc" * 8}}, track(seed=2))
    log_run(store.client, store.url, Run("xrl-scratch", "unregistered", {}, {}, {}))
    found = tried(store, candidate, path)
    assert not found.returns and not found.strays and not found.notes
    path.with_name("xrl-scratch.jsonl").write_text("{}\n")
    assert "xrl-scratch.jsonl, line 1: it was changed" in tried(store, candidate, path).fault


def test_adopted_lines_know_their_bars_and_lines_of_before_are_read(
    store: Store, tmp_path: Path, path: Path
) -> None:
    on_mondays(store, tmp_path / "candidate")
    path.unlink()
    [line] = adopt(store, NAME, path, "the disk is gone")
    assert line.entry.bars == MONDAYS
    path.unlink()
    old = {name: value for name, value in asdict(line.entry).items() if name not in ("venue", "bars")}
    chain.append(path, lambda before: old)
    [read] = ledger.read(path)
    assert (read.entry.recipe, read.entry.venue, read.entry.bars) == (line.entry.recipe, None, {})


def test_a_promotion_weighs_the_candidate_against_all_that_was_tried(
    store: Store, tmp_path: Path, shared: Paths
) -> None:
    """The same modest track passes as a first try and is refused after forty unrelated ones."""
    content = io.BytesIO()
    track(drift=0.00025).to_parquet(content, index=False)
    config, paths = finished(tmp_path / "one")
    write_bundle(paths.bundle, {**tiny.files(), "track.parquet": content.getvalue()})
    version = register(config, paths, store).version
    first = decided(store, version, shared)
    assert first.promote, [check.sentence() for check in first.refusals]
    for number in range(40):
        log_run(store.client, store.url, Run(NAME, f"try {number}", {}, {}, {}))
    then = decided(store, version, shared)
    assert [check.name for check in then.refusals] == ["deflated_sharpe"]
    [trials] = [check for check in then.checks if check.name == "effective_trials"]
    assert trials.figure == 41
