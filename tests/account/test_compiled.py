"""Compiled code is kept under the name of all the sources it came from."""

from pathlib import Path

from xrl.account.compiled import cache_folder, njit, source_digest


def package(root: Path) -> Path:
    for room, text in (("account", "a = 1\n"), ("env", "b = 2\n")):
        (root / room).mkdir(parents=True)
        (root / room / "step.py").write_text(text)
    return root


def test_a_change_in_any_room_that_compiles_starts_a_new_folder(tmp_path: Path) -> None:
    root = package(tmp_path)
    before = source_digest(root)
    assert source_digest(root) == before
    (root / "account" / "step.py").write_text("a = 2\n")
    changed = source_digest(root)
    (root / "env" / "new.py").write_text("")
    assert len({before, changed, source_digest(root)}) == 3


def test_without_a_place_to_write_nothing_is_cached(tmp_path: Path) -> None:
    root = package(tmp_path)
    (root / "__pycache__").write_text("a file where the folder should be")
    assert cache_folder(root) is None


def test_a_compiled_function_computes_what_it_says() -> None:
    @njit
    def twice(x: float) -> float:
        return 2.0 * x

    assert twice(1.5) == 3.0
