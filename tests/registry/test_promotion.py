"""Truths of the way from a finished run to a champion and back, on a real MLflow database."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.registry.evidence import ALONE, interval
from tests.registry.test_bundle import age
from tests.registry.workspace import finished
from tests.serve import tiny
from xrl.errors import BundleError, RegistryError
from xrl.paths import Paths
from xrl.registry.bundle import open_bundle, write_bundle
from xrl.registry.evidence import evidence, recipe_of, track_of
from xrl.registry.gate import judge
from xrl.registry.promotion import Judgement, judge_version, promote, rollback, waiting
from xrl.registry.registration import Registration, register
from xrl.registry.store import Store
from xrl.registry.version import Version
from xrl.serve.predictor import replay_bundle
from xrl.tracking import Run, log_run

NAME = "xrl-planted"
WEAK = {"prediction__f1_macro": interval(0.33, 0.32, 0.34)}


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Store(f"sqlite:///{tmp_path / 'mlflow.db'}")


def registered(store: Store, root: Path, seed: int = 0, **figures: object) -> Registration:
    return register(*finished(root, seed, **figures), store)


def judgement_of(store: Store, version: Version) -> Judgement:
    return judge_version(store, version, replay_bundle, tiny.CONFIG.gate, Paths(Path()))  # of no workspace


def judged(store: Store) -> list[bool]:
    return [judgement_of(store, one).decision.promote for one in waiting(store, (NAME,))]


def test_a_registered_run_holds_parameters_metrics_lineage_plots_reports_and_the_bundle(
    store: Store, tmp_path: Path
) -> None:
    found = registered(store, tmp_path / "w")
    assert (
        found.sentence() == f"{NAME} version 1 registered as challenger (bundle {found.version.digest[:12]})"
    )
    run = store.client.get_run(found.version.run_id)
    assert run.data.params["experts.preset"] == "lean"
    assert run.data.params["market.symbols"].startswith("['BTCUSDT'")
    assert run.data.metrics["trading/sharpe/value"] == 1.6
    assert run.info.status == "FINISHED"
    assert run.data.tags["git_commit"] == "0" * 40
    assert len(run.data.tags["dvc_lock"]) == 64
    assert found.version.tags["as_of"] == "2023-12-14T00:00:00+00:00"
    folders = {item.path for item in store.client.list_artifacts(found.version.run_id)}
    assert folders == {"bundle", "plots", "reports"}
    bundle = store.fetch(found.version, tmp_path)
    assert bundle.digest == found.version.digest


def test_the_whole_way_promoted_twice_is_already_champion(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "w")
    assert judged(store) == [True]
    assert promote(store, NAME) == f"{NAME} version 1 is champion"
    assert promote(store, NAME) == f"{NAME} version 1 is already champion"
    again = register(tiny.CONFIG, finished(tmp_path / "again")[1], store)
    assert again.is_champion
    assert not again.is_new
    assert "already champion (identical bundle" in again.sentence()
    assert judged(store) == []
    assert promote(store, NAME) == f"{NAME} version 1 is already champion"
    assert len(store.client.search_model_versions(f"name = '{NAME}'")) == 1


def test_a_refusal_keeps_its_figures_and_the_champion_its_place(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "good")
    judged(store)
    promote(store, NAME)
    weak = registered(store, tmp_path / "weak", seed=1, **WEAK).version
    assert judged(store) == [False]
    assert promote(store, NAME) == f"{NAME} version 2 was refused; {NAME} version 1 stays champion"
    tags = store.version(NAME, weak.number).tags
    assert tags["gate"] == "refuse"
    assert "f1_macro 0.33 >= 0.34 fails: F1 macro is below its floor" in tags["gate_refusals"]
    recorded = store.read_json(weak, "gate/decision.json")
    assert recorded["promote"] is False
    assert recorded["kind"] == "refresh"
    [check] = [check for check in recorded["checks"] if check["name"] == "f1_macro"]
    assert (check["figure"], check["bound"], check["passed"]) == (0.33, 0.34, False)


def test_the_gate_judges_once_and_again_after_a_new_registration(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "weak", **WEAK)
    assert judged(store) == [False]
    assert judged(store) == []
    again = register(tiny.CONFIG, finished(tmp_path / "again", **WEAK)[1], store)
    assert "version 1 holds this very bundle" in again.sentence()
    assert judged(store) == [False]


def test_promotion_waits_for_the_gate(store: Store, tmp_path: Path) -> None:
    assert promote(store, NAME) == f"{NAME}: nothing to promote"
    registered(store, tmp_path / "w")
    assert promote(store, NAME) == f"{NAME} version 1 is not judged yet; run `xrl gate` first"


def test_a_decision_against_an_earlier_champion_is_void(store: Store, tmp_path: Path) -> None:
    first = registered(store, tmp_path / "one").version
    judged(store)
    store.set_alias(first, "champion")  # somebody else promotes while the next one is on its way
    store.drop_alias(first, "challenger")
    second = registered(store, tmp_path / "two", seed=1).version
    store.tag(second, {"gate": "promote", "judged_against": "none"})
    assert (
        promote(store, NAME) == f"{NAME} version 2 was judged against another champion; run `xrl gate` again"
    )
    assert [version.number for version in waiting(store, (NAME,))] == ["2"]


def test_rollback_gives_the_place_back_and_keeps_the_bundle_out(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="has no champion"):
        rollback(store, NAME)
    registered(store, tmp_path / "one")
    judged(store)
    promote(store, NAME)
    with pytest.raises(RegistryError, match="is the first champion"):
        rollback(store, NAME)
    second = registered(store, tmp_path / "two", seed=1).version
    judge = judgement_of(store, second)
    store.tag(second, {"gate": "promote"})
    assert judge.decision.kind == "refresh"
    assert promote(store, NAME) == f"{NAME} version 2 is champion, {NAME} version 1 was"
    assert rollback(store, NAME) == f"{NAME} version 1 is champion again, {NAME} version 2 was taken back"
    back = register(tiny.CONFIG, finished(tmp_path / "again", seed=1)[1], store)
    assert "was rolled back; it stays so" in back.sentence()
    assert promote(store, NAME) == f"{NAME} version 1 is already champion"


def test_a_damaged_bundle_in_the_registry_is_refused_not_a_crash(store: Store, tmp_path: Path) -> None:
    version = registered(store, tmp_path / "w").version
    uri = store.client.get_run(version.run_id).info.artifact_uri
    (Path(uri.removeprefix("file://")) / "bundle" / "policy.onnx").write_bytes(b"damaged")
    judgement = judgement_of(store, version)
    [check] = judgement.decision.refusals
    assert check.name == "bundle"
    assert "policy.onnx was changed" in check.reason


def damage(store: Store, version: Version, name: str) -> None:
    uri = store.client.get_run(version.run_id).info.artifact_uri
    (Path(uri.removeprefix("file://")) / "bundle" / name).write_bytes(b"damaged")


def test_a_damaged_champion_leaves_the_challenger_unjudged(store: Store, tmp_path: Path) -> None:
    first = registered(store, tmp_path / "one").version
    judged(store)
    promote(store, NAME)
    damage(store, first, "track.parquet")
    second = registered(store, tmp_path / "two", seed=1).version
    with pytest.raises(RegistryError, match=r"the champion, xrl-planted version 1, cannot be read"):
        judgement_of(store, second)
    assert "gate" not in store.version(NAME, second.number).tags
    assert [version.number for version in waiting(store, (NAME,))] == ["2"]


def test_a_champion_of_the_schema_before_is_still_judged_against(store: Store, tmp_path: Path) -> None:
    """It is not served any more, but what it earned counts: else nothing could follow it."""
    first = registered(store, tmp_path / "one").version
    judged(store)
    promote(store, NAME)
    uri = store.client.get_run(first.run_id).info.artifact_uri
    store.tag(first, {"digest": age(Path(uri.removeprefix("file://")) / "bundle")})
    second = registered(store, tmp_path / "two", seed=1).version
    found = judgement_of(store, second).decision
    assert "common_days" in {check.name for check in found.checks}


def test_a_bundle_sealed_around_nonsense_is_refused_not_a_crash(store: Store, tmp_path: Path) -> None:
    spoiled: dict[str, bytes] = {
        "metrics.json": b"[]",
        "track.parquet": b"no table",
        "lineage.json": b'{"as_of": "2023-12-14T00:00:00+00:00", "trained_through": "2023-12-14"}',
        "params.yaml": b"{a: [",
        "golden.json": b'{"tolerance": 1e-4, "pairs": [{}]}',
        "features.json": b"{}",
        "account.json": b'{"fee_bps": "many"}',
    }
    for number, (name, content) in enumerate(spoiled.items()):
        folder = write_bundle(tmp_path / str(number), {**tiny.files(), name: content})
        run = Run(NAME, "test", {}, {}, {}, {"bundle": folder.path})
        tags = {"digest": folder.digest}
        version = store.create(NAME, log_run(store.client, store.url, run), tags)
        decision = judgement_of(store, version).decision
        assert [check.name for check in decision.refusals] == ["bundle"], name
    assert waiting(store, (NAME,)) == ()


def test_a_superseded_challenger_is_judged_but_only_the_alias_is_promoted(
    store: Store, tmp_path: Path
) -> None:
    registered(store, tmp_path / "one")
    registered(store, tmp_path / "two", seed=1)
    assert [version.number for version in waiting(store, (NAME,))] == ["1", "2"]
    assert judged(store) == [True, True]
    assert promote(store, NAME) == f"{NAME} version 2 is champion"
    assert waiting(store, (NAME,)) == ()
    assert store.aliased(NAME, "challenger") is None


def test_an_alias_that_has_moved_on_is_not_dropped(store: Store, tmp_path: Path) -> None:
    first = registered(store, tmp_path / "one").version
    registered(store, tmp_path / "two", seed=1)
    store.drop_alias(first, "challenger")
    assert str(store.aliased(NAME, "challenger")) == f"{NAME} version 2"


def test_rollback_passes_over_what_was_taken_back(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        version = registered(store, tmp_path / str(number), seed=number).version
        before = str(number) if number else "none"
        store.tag(version, {"gate": "promote", "judged_against": before})
        promote(store, NAME)
    store.tag(store.version(NAME, "2"), {"rolled_back": "2026-01-01"})
    assert rollback(store, NAME) == f"{NAME} version 1 is champion again, {NAME} version 3 was taken back"
    store.set_alias(store.version(NAME, "3"), "champion")
    store.tag(store.version(NAME, "1"), {"rolled_back": "2026-01-01"})
    with pytest.raises(RegistryError, match="has none before it that was not taken back"):
        rollback(store, NAME)
    assert str(store.aliased(NAME, "champion")) == f"{NAME} version 3"


def test_the_judge_sets_the_bound_of_parity(store: Store, tmp_path: Path) -> None:
    files = tiny.files()
    golden = json.loads(files["golden.json"])
    golden["tolerance"] = 10.0
    golden["pairs"][0]["expected"]["pattern"][0] += 2e-4
    write_bundle(tmp_path / "bundle", {**files, "golden.json": json.dumps(golden).encode()})
    bundle = open_bundle(tmp_path / "bundle")
    found = evidence(bundle, None, ALONE, tmp_path, replay_bundle, tiny.CONFIG.gate)
    assert [check.name for check in judge(found, tiny.CONFIG.gate).refusals] == ["parity_difference"]


@pytest.mark.parametrize(
    ("source", "world", "honoured"),
    [("sandbox", "planted", True), ("sandbox", "replay", False), ("live", None, False)],
)
def test_only_the_planted_world_has_a_ceiling(
    tmp_path: Path, source: str, world: str | None, honoured: bool
) -> None:
    files = tiny.files()
    params = yaml.safe_load(files["params.yaml"])
    params["market"] |= {"source": source, "world": world}
    write_bundle(tmp_path / "bundle", {**files, "params.yaml": yaml.safe_dump(params).encode()})
    found = evidence(open_bundle(tmp_path / "bundle"), None, ALONE, tmp_path, replay_bundle, tiny.CONFIG.gate)
    assert found.has_ceiling is honoured


@pytest.mark.parametrize(
    ("labels", "kind"),
    [({"kind": "triple_barrier"}, "triple_barrier"), ({"horizon_bars": 20}, "normalised_percentile")],
)
def test_a_bundles_parameters_say_what_its_classes_mean(tmp_path: Path, labels: dict, kind: str) -> None:
    assert track_of(open_bundle(labelled(tmp_path / "bundle", labels))).label_kind == kind


def test_an_unknown_kind_of_label_is_not_judged(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such kind of label: 'astrology'"):
        track_of(open_bundle(labelled(tmp_path / "bundle", {"kind": "astrology"})))


def test_a_track_is_as_new_as_the_last_bar_that_trained_its_model(tmp_path: Path) -> None:
    found = track_of(write_bundle(tmp_path / "bundle", tiny.files()))
    assert found.trained_through.isoformat() == "2023-12-10T00:00:00+00:00"  # four days before `as_of`


def test_a_users_function_with_another_text_is_another_recipe(tmp_path: Path) -> None:
    files = tiny.files()
    lineage = json.loads(files["lineage.json"])
    found = []
    for name, told in (("none", {}), ("one", {"rise": "file ab"}), ("other", {"rise": "file cd"})):
        changed = {**files, "lineage.json": json.dumps({**lineage, "functions": told}).encode()}
        found.append(recipe_of(write_bundle(tmp_path / name, changed)))
    assert len(set(found)) == 3
    assert recipe_of(write_bundle(tmp_path / "silent", files)) == found[0]


def labelled(path: Path, labels: dict) -> Path:
    """A bundle whose section `labels` is another."""
    files = tiny.files()
    params = {**yaml.safe_load(files["params.yaml"]), "labels": labels}
    write_bundle(path, {**files, "params.yaml": yaml.safe_dump(params).encode()})
    return path


def test_a_workspace_without_a_bundle_says_what_to_run(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="`xrl bundle` writes one"):
        register(tiny.CONFIG, Paths(tmp_path), store)


def test_a_server_that_is_down_says_what_to_start() -> None:
    with pytest.raises(RegistryError, match=r"no MLflow server at http://127.0.0.1:9.*make up"):
        Store("http://127.0.0.1:9")
