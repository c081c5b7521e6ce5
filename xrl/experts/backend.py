"""How Keras starts in our processes. Call `prepare` before the first import of keras or tensorflow.

Enters: nothing. Leaves: environment variables that the user has not set himself.
"""

import os

from xrl.presets import Network, Schedule

_DEFAULTS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # same bits on every CPU generation
    "TF_NUM_INTRAOP_THREADS": "1",  # small matrices gain nothing from a second thread, and sums keep order
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPU_ALLOCATOR_USE_BFC": "1",  # keeps memory between steps: fresh pages cost a third of a wide step
    "ORT_DISABLE_TELEMETRY": "1",
}


def prepare() -> None:
    """Choose TensorFlow, quiet and on one thread, unless the environment says otherwise."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def compiles(network: Network, schedule: Schedule) -> bool:
    """Whether XLA makes a training step faster: measured on one CPU thread, where compiling takes 14 s once.

    It does where the last block reads one position and no step waits for the one before: .65 of the time for
    preset `source`. It draws a random number in half a microsecond, forty times slower: with dropout of every
    input value, or of every bar at every position, a step took two to ten times as long.

    Args:
        network: what is trained.
        schedule: its positions.
    """
    parallel = network.architecture == "xlstm" and set(network.blocks) == {"m"}
    keras_backend = os.environ.get("KERAS_BACKEND", _DEFAULTS["KERAS_BACKEND"])
    few_draws = schedule.positions == "last" and not network.input_dropout
    return keras_backend == "tensorflow" and parallel and few_draws
