"""The sandbox's venue under the name that it had while it spoke one dialect."""

from xrl.sandbox.venue import Venue, open_venue

__all__ = ["Venue", "open_venue"]
