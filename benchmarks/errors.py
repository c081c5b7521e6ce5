"""What a measurement says when it cannot be made."""

from xrl.errors import XrlError


class BenchmarkError(XrlError):
    """A server did not start, a file is torn, or an argument is unknown."""
