"""Keeps the newest champion loaded: builds it beside the old one, replays its golden pairs, swaps them.

Enters: a registry that tells the champion of one model. Leaves: `current`, the predictor that answers. A
registry that is down, a bundle that is damaged or computes something else: the old one keeps answering,
and `failure` says why.
"""

import gc
import logging
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from xrl.errors import BundleError, XrlError
from xrl.registry.bundle import Bundle
from xrl.registry.version import CHAMPION, Version
from xrl.serve.predictor import Predictor, load

log = logging.getLogger(__name__)


class Registry(Protocol):
    """What the server asks of `registry.store.Store`."""

    def aliased(self, name: str, alias: str) -> Version | None: ...
    def fetch(self, version: Version, folder: Path) -> Bundle: ...


class Served(NamedTuple):
    """A predictor and the version it was loaded from."""

    predictor: Predictor
    version: Version


class Reloader:
    """A thread that follows the alias `champion` of one registered model."""

    def __init__(self, connect: Callable[[], Registry], name: str, poll_seconds: float) -> None:
        """Nothing runs before `start`.

        Args:
            connect: opens the registry; raises RegistryError while it is unreachable.
            name: registered model.
            poll_seconds: pause between two looks at the alias.
        """
        self.current: Served | None = None
        self.failure: str | None = None
        self._connect = connect
        self._registry: Registry | None = None
        self._name = name
        self._poll_seconds = poll_seconds
        self._unusable: dict[str, str] = {}  # digest -> why its bundle cannot be served
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="xrl-reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_following(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; the current predictor stays usable."""
        self._stop.set()
        self._thread.join(timeout=10)

    def poll(self) -> None:
        """Look once; load and swap if there is another champion; what fails is kept in `failure`."""
        try:
            self._poll()
        except (XrlError, OSError) as error:  # OSError: a full disk, say; the next look tries again
            if str(error) != self.failure:
                log.warning("still serving %s: %s", self._shown(), error)
            self.failure = str(error)

    def _poll(self) -> None:
        if self._registry is None:
            self._registry = self._connect()
        version = self._registry.aliased(self._name, CHAMPION)
        if version is None:  # none yet, or the alias was removed: keep what is served
            self.failure = None
            return
        if self.current is not None and version.digest == self.current.predictor.digest:
            self.current = Served(self.current.predictor, version)
            self.failure = None
            return
        if version.digest in self._unusable:  # asked and found wanting: not downloaded again
            self.failure = self._unusable[version.digest]
            return
        try:
            with tempfile.TemporaryDirectory(prefix="xrl-serve-") as folder:
                predictor = load(self._registry.fetch(version, Path(folder)).path, version.digest)
        except BundleError as error:
            self._unusable[version.digest] = str(error)
            raise
        self.current = Served(predictor, version)
        self.failure = None
        gc.collect()
        gc.freeze()  # what was just built lives on: keep the collector from walking it during requests
        log.info("serving %s", self._shown())

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self._poll_seconds)

    def _shown(self) -> str:
        if self.current is None:
            return "nothing"
        return f"{self._name} version {self.current.version.number}"
