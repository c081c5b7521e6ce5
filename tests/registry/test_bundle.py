"""Truths of the bundle folder."""

import json
from pathlib import Path

import pytest

from xrl.errors import BundleError
from xrl.registry import bundle


def files() -> dict[str, bytes]:
    return {name: f"contents of {name}".encode() for name in bundle.REQUIRED}


def test_a_written_bundle_opens_with_the_same_digest(tmp_path: Path) -> None:
    written = bundle.write_bundle(tmp_path / "bundle", files())
    assert bundle.open_bundle(tmp_path / "bundle") == written
    assert len(written.digest) == 64
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"]


def test_identical_contents_give_an_identical_digest_in_any_order_and_place(tmp_path: Path) -> None:
    backwards = dict(reversed(files().items()))
    first = bundle.write_bundle(tmp_path / "one", files())
    second = bundle.write_bundle(tmp_path / "elsewhere" / "two", backwards)
    assert first.digest == second.digest
    assert (first.path / "checksums.json").read_bytes() == (second.path / "checksums.json").read_bytes()


def test_any_changed_byte_changes_the_digest_except_in_records(tmp_path: Path) -> None:
    base = bundle.write_bundle(tmp_path / "a", files()).digest
    for name in bundle.REQUIRED:
        changed = bundle.write_bundle(tmp_path / "b", {**files(), name: b"other"})
        assert changed.digest != base, name
    assert bundle.write_bundle(tmp_path / "c", {**files(), "dvc.lock": b"seconds: 3"}).digest == base


@pytest.mark.parametrize("name", [*bundle.REQUIRED, "dvc.lock"])
def test_a_tampered_file_is_named(tmp_path: Path, name: str) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", {**files(), "dvc.lock": b"lock"}).path
    (path / name).write_bytes(b"tampered")
    with pytest.raises(BundleError, match=rf"{name} was changed"):
        bundle.open_bundle(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", files()).path
    (path / "policy.onnx").unlink()
    with pytest.raises(BundleError, match=r"policy\.onnx is missing"):
        bundle.open_bundle(path)


def test_an_extra_file_is_named(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", files()).path
    (path / "model.pkl").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.pkl is not listed"):
        bundle.open_bundle(path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", files()).path
    seal = json.loads((path / "checksums.json").read_bytes())
    (path / "checksums.json").write_text(json.dumps({**seal, "schema": 99}))
    with pytest.raises(BundleError, match="schema 99, this version of xrl reads schema 2"):
        bundle.open_bundle(path)


def test_a_bundle_of_the_schema_before_is_opened_by_who_asks_for_it_alone(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", files()).path
    digest = age(path)
    with pytest.raises(BundleError, match="schema 1, this version of xrl reads schema 2; train again"):
        bundle.open_bundle(path)
    assert bundle.open_bundle(path, digest, bundle.JUDGED_SCHEMAS).digest == digest


def age(path: Path) -> str:
    """Seal the bundle at `path` as schema 1 did; returns its digest then."""
    seal = json.loads((path / "checksums.json").read_bytes())
    digest = bundle._digest(seal["files"], 1)
    (path / "checksums.json").write_text(json.dumps({**seal, "schema": 1, "digest": digest}))
    return digest


def test_optional_files_come_all_or_none(tmp_path: Path) -> None:
    for group in bundle.OPTIONAL:
        whole = dict.fromkeys(group, b"")
        bundle.open_bundle(bundle.write_bundle(tmp_path / "whole", {**files(), **whole}).path)
        with pytest.raises(BundleError, match=rf"lacks {group[0]} beside {', '.join(sorted(group[1:]))}"):
            bundle.write_bundle(tmp_path / "part", {**files(), **dict.fromkeys(group[1:], b"")})


def test_a_seal_rewritten_for_a_tampered_file_no_longer_matches_its_digest(tmp_path: Path) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", files()).path
    seal = json.loads((path / "checksums.json").read_bytes())
    seal["files"]["policy.onnx"] = bundle._sha256(b"evil")
    (path / "policy.onnx").write_bytes(b"evil")
    (path / "checksums.json").write_text(json.dumps(seal))
    with pytest.raises(BundleError, match="the digest does not belong"):
        bundle.open_bundle(path)


@pytest.mark.parametrize("seal", [b"{", b"[]", b"{}", b'{"schema": 1, "files": 3, "digest": "x"}'])
def test_a_damaged_seal_is_refused(tmp_path: Path, seal: bytes) -> None:
    path = bundle.write_bundle(tmp_path / "bundle", files()).path
    (path / "checksums.json").write_bytes(seal)
    with pytest.raises(BundleError, match="damaged"):
        bundle.open_bundle(path)


def test_no_folder_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="`xrl bundle` writes one"):
        bundle.open_bundle(tmp_path / "nowhere")


def test_an_incomplete_or_unknown_file_list_is_not_written(tmp_path: Path) -> None:
    incomplete = {name: content for name, content in files().items() if name != "golden.json"}
    with pytest.raises(BundleError, match=r"lacks golden\.json"):
        bundle.write_bundle(tmp_path / "bundle", incomplete)
    with pytest.raises(BundleError, match=r"names model\.pkl"):
        bundle.write_bundle(tmp_path / "bundle", {**files(), "model.pkl": b""})
    assert list(tmp_path.iterdir()) == []


def test_writing_replaces_the_old_bundle_and_any_half_written_one(tmp_path: Path) -> None:
    bundle.write_bundle(tmp_path / "bundle", {**files(), "dvc.lock": b"old"})
    (tmp_path / ".bundle.writing").mkdir()
    (tmp_path / ".bundle.writing" / "half").write_bytes(b"")
    bundle.write_bundle(tmp_path / "bundle", files())
    assert not (tmp_path / "bundle" / "dvc.lock").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"]


def test_canonical_json_sorts_keys_and_turns_nan_into_null() -> None:
    value = {"b": float("nan"), "a": [1.5, float("inf")], "c": {"z": 1, "y": "ü"}}
    assert json.loads(bundle.canonical_json(value)) == {"a": [1.5, None], "b": None, "c": {"y": "ü", "z": 1}}
    assert bundle.canonical_json({"b": 1, "a": 2}) == bundle.canonical_json({"a": 2, "b": 1})


def test_a_whole_bundle_that_is_not_the_expected_one_is_refused(tmp_path: Path) -> None:
    written = bundle.write_bundle(tmp_path / "bundle", files())
    assert bundle.open_bundle(written.path, expected_digest=written.digest) == written
    with pytest.raises(BundleError, match="another bundle: expected digest 000000000000"):
        bundle.open_bundle(written.path, expected_digest="0" * 64)
