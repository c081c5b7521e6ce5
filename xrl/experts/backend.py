"""How Keras starts in our processes. Call `prepare` before the first import of keras or tensorflow.

Enters: nothing. Leaves: environment variables that the user has not set himself.
"""

import os

_DEFAULTS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # same bits on every CPU generation
    "TF_NUM_INTRAOP_THREADS": "1",  # small matrices gain nothing from a second thread, and sums keep order
    "TF_NUM_INTEROP_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}


def prepare() -> None:
    """Choose TensorFlow, quiet and on one thread, unless the environment says otherwise."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
