"""What is printed and written of the features is what is declared."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from xrl.__main__ import app
from xrl.errors import DataError
from xrl.features import catalogue, table

ROOT = Path(__file__).parents[2]


def test_the_page_is_the_one_that_the_declarations_give():
    """Mend it with `xrl features list --page`."""
    written = (ROOT / "docs" / "features.md").read_text()
    assert catalogue.page(written, table.FEATURES) == written


def test_the_page_names_every_column_once_and_what_the_default_request_holds():
    text = (ROOT / "docs" / "features.md").read_text()
    for name in table.names():
        assert text.count(f"\n| `{name}` |") == 1, name
    assert f"`required_bars`, {table.required_bars(60)} for the default of 60" in text


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(DataError, match="end of columns"):
        catalogue.page("# Features\n", table.FEATURES)


def test_every_column_declares_everything():
    for row, feature in zip(catalogue.rows(table.FEATURES), table.FEATURES):
        assert len(row) == len(catalogue.HEADINGS)
        assert all(row), row
        assert feature.groups and feature.warmup < feature.window


def test_the_command_prints_the_columns_of_a_group(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = CliRunner().invoke(app, ["features", "list", "--group", "policy"])
    assert found.exit_code == 0, found.output
    assert f"{len(table.names('policy'))} columns" in found.output
    assert "funding_rate_last" in found.output and "stochrsi_k" not in found.output


def test_features_alone_is_the_stage(monkeypatch, tmp_path):
    """No snapshot lies in an empty checkout, which the stage says."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["features"])
    assert "run `xrl snapshot`" in str(found.exception)
