"""What the three dialects share: a question, a refusal, and the form of a dialect itself."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from xrl.sandbox.venue import FOREVER_MS, Listing, Venue


class Question(NamedTuple):
    """One request: whose world, what is asked, and the venue's time."""

    world: str
    query: Mapping[str, str]
    now_ms: int

    def integer(self, name: str) -> int | None:
        """The parameter, at most the year 2100; None where it was not sent.

        Raises:
            Malformed: it is not a row of digits.
        """
        text = self.query.get(name)
        if text is None or text == "":
            return None
        if not text.isdecimal() or not text.isascii() or len(text) > 20:
            raise Malformed(name)
        return min(int(text), FOREVER_MS)

    def listed(self, venue: Venue) -> list[Listing]:
        """Perpetuals that had been listed by now."""
        return [
            listing for listing in venue.listings(self.world).values() if listing.listed_ms <= self.now_ms
        ]


class Malformed(Exception):
    """A parameter that should be a number and is none."""


class Refusal(Exception):
    """An answer in the venue's own form to a question that it does not answer."""

    def __init__(self, body: Mapping[str, Any], status: int = 200) -> None:
        self.body, self.status = body, status


class Dialect(Protocol):
    """One venue's REST API: the inside of the JSON at each of its paths."""

    @property
    def paths(self) -> Mapping[str, Callable[[Question], bytes]]: ...

    def malformed(self, name: str, question: Question) -> Refusal:
        """What the venue says of a number that is none."""

    def unavailable(self, reason: str, question: Question) -> Refusal:
        """How a replay without the data says so in this dialect."""
