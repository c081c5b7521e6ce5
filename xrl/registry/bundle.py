"""The bundle: one folder holding everything that is promoted and served, sealed by checksums.

Enters: the bytes of its files. Leaves: a folder whose `checksums.json` names every file's SHA-256 and one
digest of the whole. Identical contents give an identical digest: no clock, no host and no key order
enters it.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from xrl.errors import BundleError

#: Raised with every change that an older reader would misread.
SCHEMA: Final = 2
#: Older bundles whose track can still be judged against, though not served: what they lack is for serving.
JUDGED_SCHEMAS: Final = (1, SCHEMA)
CHECKSUMS: Final = "checksums.json"
REQUIRED: Final = (
    "pattern.onnx",
    "indicator.onnx",
    "policy.onnx",
    "scaler_pattern.json",
    "scaler_indicator.json",
    "scaler_policy.json",
    "features.json",
    "labels.json",
    "account.json",
    "golden.json",
    "metrics.json",
    "track.parquet",
    "lineage.json",
    "params.yaml",
)
#: Groups of files of which a bundle holds all or none: the boosted expert, the 6 h forecast.
OPTIONAL: Final = (
    ("boosted.onnx", "scaler_boosted.json"),
    ("forecast.onnx", "scaler_forecast.json", "forecast.json"),
)
#: Sealed like every file but no part of the digest: it names the bytes of training reports, and a report says
#: how long a training took.
RECORDS: Final = ("dvc.lock",)


@dataclass(frozen=True)
class Bundle:
    """A folder whose checksums were found right, and its digest (SHA-256, 64 hex digits)."""

    path: Path
    digest: str

    def json(self, name: str) -> Any:
        """Contents of the JSON file `name`."""
        return json.loads((self.path / name).read_bytes())


class Parity(NamedTuple):
    """What replaying a bundle's golden pairs found."""

    difference: float  # largest absolute difference of any probability
    disagreements: int  # pairs whose class or action differs although their top two stand clearly apart
    own_bound: float = math.inf  # difference that the bundle itself allows; a judge may allow less


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys; NaN and infinity, which JSON does not know, become null."""
    text = json.dumps(_finite(value), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode() + b"\n"


def write_bundle(target: Path, files: Mapping[str, bytes]) -> Bundle:
    """Write `files` and their checksums aside, then put the folder in place of whatever `target` was.

    Raises:
        BundleError: a required file is missing or one has an unknown name.
    """
    _check_names(files.keys(), target)
    sums = {name: _sha256(content) for name, content in files.items()}
    seal = {"schema": SCHEMA, "digest": _digest(sums), "files": sums}
    aside = target.with_name(f".{target.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, content in {**files, CHECKSUMS: canonical_json(seal)}.items():
        (aside / name).write_bytes(content)
    _replace_folder(aside, target)
    return Bundle(target, str(seal["digest"]))


def open_bundle(
    path: Path, expected_digest: str | None = None, schemas: Collection[int] = (SCHEMA,)
) -> Bundle:
    """Check every file of the bundle at `path` against its checksums.

    Args:
        path: the bundle's folder.
        expected_digest: what another record says the whole has, if any.
        schemas: those that the caller can read.

    Raises:
        BundleError: the folder or a file in it is missing, changed, unexpected or of another schema.
    """
    sums, digest, schema = _read_seal(path, schemas)
    _check_names(sums.keys(), path)
    present = {entry.name for entry in path.iterdir()} - {CHECKSUMS}
    for name in sorted(present - sums.keys()):
        raise BundleError(f"{path / name} is not listed in {CHECKSUMS}; remove it or write the bundle again")
    for name, expected in sorted(sums.items()):
        if name not in present:
            raise BundleError(f"{path / name} is missing; write the bundle again with `xrl bundle`")
        received = _sha256((path / name).read_bytes())
        if received != expected:
            raise BundleError(
                f"{path / name} was changed: expected SHA-256 {expected[:12]}, received {received[:12]}; "
                "write the bundle again with `xrl bundle` or download it anew"
            )
    if _digest(sums, schema) != digest:
        raise BundleError(
            f"{path / CHECKSUMS}: the digest does not belong to its files; write the bundle again"
        )
    if expected_digest not in (None, digest):
        raise BundleError(
            f"{path} is another bundle: expected digest {str(expected_digest)[:12]}, received {digest[:12]}; "
            "register it anew with `xrl register`"
        )
    return Bundle(path, digest)


def _read_seal(path: Path, schemas: Collection[int]) -> tuple[dict[str, str], str, int]:
    seal_path = path / CHECKSUMS
    if not seal_path.is_file():
        raise BundleError(f"no bundle at {path}: {CHECKSUMS} is missing; `xrl bundle` writes one")
    try:
        seal = json.loads(seal_path.read_bytes())
        schema, sums, digest = seal["schema"], dict(seal["files"]), str(seal["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{seal_path} is damaged ({error!r}); write the bundle again with `xrl bundle`"
        ) from error
    if schema not in schemas:
        raise BundleError(
            f"{seal_path} has schema {schema}, this version of xrl reads schema {SCHEMA}; "
            "train again, or serve it with the version of xrl that wrote it"
        )
    return sums, digest, schema


def _check_names(names: Iterable[str], path: Path) -> None:
    names = set(names)
    missing = sorted(set(REQUIRED) - names)
    if missing:
        raise BundleError(
            f"the bundle {path} lacks {', '.join(missing)}; run the stages again with `dvc repro`"
        )
    for group in OPTIONAL:
        lacking = sorted(set(group) - names)
        if 0 < len(lacking) < len(group):
            beside = sorted(names & set(group))
            raise BundleError(
                f"the bundle {path} lacks {', '.join(lacking)} beside {', '.join(beside)}; "
                "run the stages again with `dvc repro`"
            )
    unknown = sorted(names - set(REQUIRED) - set(RECORDS) - {name for group in OPTIONAL for name in group})
    if unknown:
        raise BundleError(
            f"the bundle {path} names {', '.join(unknown)}, which is no file of schema {SCHEMA}"
        )


def _digest(sums: Mapping[str, str], schema: int = SCHEMA) -> str:
    sealed = {name: value for name, value in sums.items() if name not in RECORDS}
    return _sha256(canonical_json({"schema": schema, "files": sealed}))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace_folder(aside: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
