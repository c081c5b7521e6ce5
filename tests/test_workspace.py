"""A retraining's workspace: complete or remade, the same when asked again, apart from uncommitted work."""

import logging
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from xrl.errors import ConfigError
from xrl.workspace import Request, folder_name, open_workspace, overridden

ROOT = Path(__file__).resolve().parents[1]
REQUEST = Request(
    run_id="manual__2026-10-01T00:00:00+00:00",
    venue="binance",
    world="random_walk",
    symbols=("BTCUSDT", "ETHUSDT"),
    days=30,
    preset="lean",
    as_of=datetime(2026, 9, 1, tzinfo=UTC),
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XRL_DATA_DIR", raising=False)
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("params.yaml", "dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(
        ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local")
    )
    _git(root, "init", "--quiet")
    _commit(root)
    return root


def _git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def _commit(root: Path) -> None:
    _git(root, "add", "-A")
    _git(root, "commit", "--quiet", "-m", "x")


def test_a_workspace_holds_the_commit_with_its_own_parameters(checkout: Path) -> None:
    path = open_workspace(checkout, REQUEST)

    params = yaml.safe_load((path / "params.yaml").read_text())
    assert params["market"]["name"] == params["market"]["world"] == "random_walk"
    assert params["market"]["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert params["snapshot"]["days"] == 30
    assert params["snapshot"]["as_of"] == "2026-09-01T00:00:00Z"
    assert path.is_relative_to(checkout / "var" / "workspaces")
    assert _git(path, "status", "--porcelain").split() == ["M", "params.yaml"]


def test_market_store_and_cache_are_the_checkouts_own(checkout: Path) -> None:
    path = open_workspace(checkout, REQUEST)

    (checkout / "data" / "market" / "planted").mkdir()
    assert (path / "data" / "market" / "planted").is_dir()
    assert f"dir = {checkout}/.dvc/cache" in (path / ".dvc" / "config.local").read_text()


def test_asking_again_changes_nothing(checkout: Path) -> None:
    path = open_workspace(checkout, REQUEST)
    (path / "stages").mkdir()
    before = (path / "params.yaml").read_text()

    assert open_workspace(checkout, REQUEST) == path
    assert (path / "params.yaml").read_text() == before
    assert (path / "stages").is_dir()


def test_a_workspace_stays_at_its_commit(checkout: Path) -> None:
    path = open_workspace(checkout, REQUEST)
    first = _git(path, "rev-parse", "HEAD")
    (checkout / "new").write_text("x")
    _commit(checkout)

    assert _git(open_workspace(checkout, REQUEST), "rev-parse", "HEAD") == first


def test_a_workspace_cut_short_is_made_anew(checkout: Path) -> None:
    path = open_workspace(checkout, REQUEST)
    path.with_suffix(".json").unlink()  # written last: without it the workspace was not finished
    (path / "params.yaml").write_text("market: {")

    assert open_workspace(checkout, REQUEST) == path
    assert yaml.safe_load((path / "params.yaml").read_text())["snapshot"]["days"] == 30


def test_uncommitted_changes_are_left_out_and_named(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    (checkout / "dvc.yaml").write_text("stages: {}\n")
    with caplog.at_level(logging.WARNING):
        path = open_workspace(checkout, REQUEST)

    assert "1 uncommitted changes are NOT in this run (dvc.yaml)" in caplog.text
    assert "snapshot" in (path / "dvc.yaml").read_text()


def test_old_workspaces_are_removed(checkout: Path) -> None:
    paths = [open_workspace(checkout, replace(REQUEST, run_id=f"run {n}"), keep=2) for n in range(3)]

    assert [path.is_dir() for path in paths] == [False, True, True]
    assert (checkout / "data" / "market").is_dir()  # the link is removed, never what it points to
    assert len(_git(checkout, "worktree", "list").splitlines()) == 3


def test_overriding_keeps_every_comment() -> None:
    text = (ROOT / "params.yaml").read_text()
    comments = [line.split("#", 1)[1] for line in text.splitlines() if "#" in line]

    changed = overridden(text, REQUEST)

    assert [line.split("#", 1)[1] for line in changed.splitlines() if "#" in line] == comments


def test_only_the_request_is_overridden() -> None:
    text = (ROOT / "params.yaml").read_text()
    before, after = yaml.safe_load(text), yaml.safe_load(overridden(text, REQUEST))
    for section, key in (
        ("market", "name"),
        ("market", "world"),
        ("market", "symbols"),
        ("snapshot", "days"),
        ("snapshot", "as_of"),
    ):
        del before[section][key], after[section][key]
    assert after == before


def test_live_means_the_venue_and_no_world() -> None:
    market = yaml.safe_load(overridden((ROOT / "params.yaml").read_text(), replace(REQUEST, world="live")))[
        "market"
    ]

    assert (market["name"], market["source"], market["world"]) == ("binance_perp", "live", None)


def test_another_venue_has_a_store_and_a_model_of_its_own() -> None:
    text = (ROOT / "params.yaml").read_text()
    okx = replace(REQUEST, venue="okx")
    names = [
        yaml.safe_load(overridden(text, request))["market"]["name"]
        for request in (REQUEST, okx, replace(okx, world="live"))
    ]
    assert names == ["random_walk", "okx_random_walk", "okx_perp"]


def test_different_runs_get_different_folders() -> None:
    assert folder_name("a/b") != folder_name("a:b")
    assert "/" not in folder_name("../../etc")


@pytest.mark.parametrize(
    ("change", "named"),
    [({"symbols": ("BTC; rm -rf",)}, "BTC; rm -rf"), ({"run_id": " "}, "run id"), ({"preset": "big"}, "big")],
)
def test_a_wrong_request_is_refused(checkout: Path, change: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        open_workspace(checkout, replace(REQUEST, **change))  # type: ignore[arg-type]


def test_no_git_checkout_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a git checkout"):
        open_workspace(tmp_path, REQUEST)
