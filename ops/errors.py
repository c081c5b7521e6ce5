"""What can go wrong around the servers, for people to read."""

from xrl.errors import XrlError


class ServerError(XrlError):
    """A server cannot start, did not become ready, or its port is taken."""


class AirflowError(XrlError):
    """Airflow refused a request, or a run failed."""


class SoakError(XrlError):
    """A trial of the soak could not be carried out, or ended as it must not."""
