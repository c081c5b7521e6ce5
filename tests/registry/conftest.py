"""One empty MLflow database for all tests of the room."""

from pathlib import Path

import pytest

from xrl.registry.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to create its tables; every test starts from a copy of them."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    Store(f"sqlite:///{path}")
    return path
