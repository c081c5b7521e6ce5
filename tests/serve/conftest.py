"""One tiny bundle for all tests of the room; each test copies it before it spoils it."""

from pathlib import Path

import pytest

from tests.serve import tiny
from xrl.registry.bundle import Bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny.bundle(tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.fixture
def tiny_files(tiny_bundle: Bundle) -> dict[str, bytes]:
    """Contents of the tiny bundle, to be changed and written again."""
    files: dict[str, bytes] = {
        path.name: path.read_bytes()
        for path in Path(tiny_bundle.path).iterdir()
        if path.name != "checksums.json"
    }
    return files
