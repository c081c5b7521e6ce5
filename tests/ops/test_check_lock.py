"""The lock holds what pyproject.toml asks for, and what it lacks is named."""

from ops.check_lock import ROOT, differing, main, missing, outside

PYPROJECT = """
[project]
dependencies = ["Ta_Lib>=0.6", "pandas[all]>=3.0,<4", "torch"]
[project.optional-dependencies]
dev = ["ruff"]
"""


def test_the_lock_of_this_checkout_is_complete_and_installed() -> None:
    assert main("installed") is None


def test_a_missing_entry_is_named() -> None:
    assert missing(PYPROJECT, "ta-lib==0.8.2\npandas==3.1.1\nruff==1.0") == ["torch"]


def test_names_are_compared_as_indices_do() -> None:
    assert missing(PYPROJECT, "TA.Lib==0.8.2\nPandas==3.1.1\ntorch==2.13.0\nruff==1") == []


def test_a_pin_outside_the_range_is_named() -> None:
    assert outside(PYPROJECT, "pandas==4.0.0") == ["pandas==4.0.0 (pyproject.toml: pandas[all]>=3.0,<4)"]


def test_what_is_not_installed_is_named() -> None:
    assert differing("no-such-thing==1.0") == ["no-such-thing==1.0 (installed: none)"]


def test_the_lock_is_a_file_of_this_checkout() -> None:
    assert (ROOT / "requirements.lock").is_file()
