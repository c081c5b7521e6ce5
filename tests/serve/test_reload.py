"""Truths of following the champion when what it finds is broken."""

from pathlib import Path

from tests.serve import tiny
from xrl.errors import RegistryError
from xrl.registry.bundle import Bundle, open_bundle, write_bundle
from xrl.registry.version import Version
from xrl.serve.reload import Reloader

NAME = "xrl-planted"


class Shelf:
    """A registry of folders: what the reloader asks of one, with faults that tests choose."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.champion, self.fetched = folder, "", 0
        self.fault: Exception | None = None

    def put(self, name: str, files: dict[str, bytes]) -> None:
        self.champion = name
        write_bundle(self.folder / name, files)

    def aliased(self, name: str, alias: str) -> Version | None:
        if isinstance(self.fault, RegistryError):
            raise self.fault
        digest = open_bundle(self.folder / self.champion).digest
        return Version(name, self.champion, "run", {"digest": digest})

    def fetch(self, version: Version, folder: Path) -> Bundle:
        self.fetched += 1
        if self.fault is not None:
            raise self.fault
        return open_bundle(self.folder / version.number)


def test_a_malformed_bundle_is_fetched_once_and_its_fault_outlives_others(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    reloader = Reloader(lambda: shelf, NAME, 0.5)
    shelf.put("1", tiny.files())
    reloader.poll()
    shelf.put("2", {**tiny.files(), "account.json": b'{"taker_fee_bps": "many"}'})
    reloader.poll()
    fault = reloader.failure
    assert fault is not None
    assert "cannot be loaded" in fault
    shelf.fault = RegistryError("the registry is down")
    reloader.poll()
    assert reloader.failure == "the registry is down"
    shelf.fault = None
    reloader.poll()
    assert reloader.failure == fault
    assert shelf.fetched == 2
    assert reloader.current is not None
    assert reloader.current.version.number == "1"


def test_a_full_disk_ends_no_thread_and_is_tried_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    reloader = Reloader(lambda: shelf, NAME, 0.5)
    shelf.put("1", tiny.files())
    shelf.fault = OSError(28, "No space left on device")
    reloader.poll()
    assert "No space left on device" in str(reloader.failure)
    shelf.fault = None
    reloader.poll()
    assert reloader.failure is None
    assert reloader.current is not None
