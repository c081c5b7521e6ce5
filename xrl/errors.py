"""The errors a user can meet. Each message says what, expected, received and what to do next."""


class XrlError(Exception):
    """Base of every error that is the user's, the venue's or the data's to mend, not a bug of ours."""


class ConfigError(XrlError):
    """A parameter or setting is missing, unknown or out of range."""


class DataError(XrlError):
    """A table breaks its contract: names symbol, rule, count and first timestamp."""


class ExchangeError(XrlError):
    """The venue did not answer, refused, or answered something unusable."""


class TrainingError(XrlError):
    """A training cannot start or has diverged."""


class ExportError(XrlError):
    """An exported model does not compute what the trained one computes."""


class BundleError(XrlError):
    """A bundle is incomplete, tampered with, or made for another schema."""


class RegistryError(XrlError):
    """The model registry is unreachable or in a state that the request does not fit."""


class RequestError(XrlError):
    """A request to the service cannot be answered as sent; becomes a 4xx answer."""
