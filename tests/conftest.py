"""The long ones first, the whole way before all, so that no worker is left with them at the end."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (item.path.name != "test_flow.py", item.get_closest_marker("slow") is None))
