"""One budget of requests for all threads that talk to a venue.

Enters: what each request costs, in seconds that the next one must wait; pauses that a venue orders. Leaves:
the moment at which a thread may send. Clock and sleep are the caller's: nothing here knows about HTTP.
"""

import threading
import time
from collections.abc import Callable

from xrl.errors import ExchangeError


class Limiter:
    """Requests one after the other, spaced by their costs; a pause holds all of them up.

    Args:
        clock: seconds, never going back.
        sleep: None for a wait that `close` ends at once.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] | None = None
    ) -> None:
        self._clock = clock
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._paused_until = 0.0

    def wait(self, cost_s: float = 0.0) -> None:
        """Return when a request may go out that keeps the next one waiting for `cost_s`.

        Raises:
            ExchangeError: `close` was called.
        """
        self._refuse_when_closed()
        while (delay_s := self._take(cost_s)) > 0:
            self.rest(delay_s)

    def rest(self, seconds: float) -> None:
        """Let the calling thread alone sleep.

        Raises:
            ExchangeError: `close` was called.
        """
        self._refuse_when_closed()
        self._sleep(seconds)
        self._refuse_when_closed()

    def pause(self, seconds: float) -> None:
        """No request of any thread for `seconds`; never shortens a pause under way."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def paused_for(self) -> float:
        """Seconds that the pause still lasts; 0 without one."""
        with self._lock:
            return max(0.0, self._paused_until - self._clock())

    def close(self) -> None:
        """Send every waiting thread away with an error."""
        self._closed.set()

    def _refuse_when_closed(self) -> None:
        if self._closed.is_set():
            raise ExchangeError("the connection to the venue was closed while requests waited for their turn")

    def _take(self, cost_s: float) -> float:
        """Take the turn if it is free now and return 0; else the seconds until it may be."""
        with self._lock:
            now = self._clock()
            delay_s = max(self._free_at, self._paused_until) - now
            if delay_s > 0:
                return delay_s
            self._free_at = now + cost_s
            return 0.0
