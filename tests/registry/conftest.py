"""One empty MLflow database for all tests of the room; for each its own ledger and logs."""

from pathlib import Path

import pytest

from xrl.paths import Paths
from xrl.registry.store import Store


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Paths of a checkout; every workspace of the test shares its data folder."""
    monkeypatch.setenv("XRL_DATA_DIR", str(tmp_path / "data"))
    return Paths(tmp_path)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to create its tables; every test starts from a copy of them."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    Store(f"sqlite:///{path}")
    return path
