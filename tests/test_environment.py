"""`.env` and the quiet environment: the user's variables win, mistakes are named."""

from pathlib import Path

import pytest

from xrl.environment import QUIET, apply_environment, read_dotenv
from xrl.errors import ConfigError


def test_dotenv_reads_names_values_quotes_and_comments(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# ports\nXRL_SANDBOX_PORT=5310\nexport A='b c'\n\nB=x # why\n")

    assert read_dotenv(path) == {"XRL_SANDBOX_PORT": "5310", "A": "b c", "B": "x"}


def test_no_dotenv_is_no_variables(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env") == {}


def test_a_line_that_is_no_assignment_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nXRL_HOST localhost\n")
    with pytest.raises(ConfigError, match=r"\.env.*2.*XRL_HOST localhost"):
        read_dotenv(tmp_path / ".env")


def test_what_is_set_already_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("XRL_HOST=localhost\nOMP_NUM_THREADS=2\n")
    environment = {"XRL_HOST": "::1"}

    apply_environment(tmp_path, environment)

    assert environment["XRL_HOST"] == "::1"
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment.items() >= {**QUIET, "OMP_NUM_THREADS": "2"}.items()
