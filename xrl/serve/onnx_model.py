"""One ONNX file on one thread. Enters: float32 arrays with a leading batch axis. Leaves: the same."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

os.environ["ORT_DISABLE_TELEMETRY"] = os.environ.get("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from xrl.errors import BundleError

_ERROR_LEVEL = 3
_ORT_ERRORS = (
    *(ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf),
    *(ort_errors.NoModel, ort_errors.NotImplemented, ort_errors.RuntimeException),
)


class OnnxModel:
    """A session with one input, checked to have the shape and the outputs that are expected."""

    def __init__(self, path: Path, shape: Sequence[int], outputs: Sequence[str]) -> None:
        """Load `path`, whose input must be (batch, *shape) and which must have `outputs`.

        Raises:
            BundleError: the file is no ONNX model or another one.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR_LEVEL
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except _ORT_ERRORS as error:
            raise BundleError(f"{path} is no ONNX model that this onnxruntime can load: {error}") from error
        self._outputs = list(outputs)
        self._widths = {found.name: found.shape[-1] for found in self._session.get_outputs()}
        taken = self._session.get_inputs()[0]
        self._input = taken.name
        inputs = len(self._session.get_inputs())
        if inputs != 1 or list(taken.shape[1:]) != list(shape) or not set(outputs) <= self._widths.keys():
            raise BundleError(
                f"{path} must take (batch, {', '.join(map(str, shape))}) and give {', '.join(outputs)}; "
                f"received {taken.shape} and {', '.join(self._widths)}. It belongs to another export."
            )

    def width(self, output: str) -> int:
        """Size of the last axis of `output`."""
        return int(self._widths[output])

    def __call__(self, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs for `x` (batch, *shape), in the order asked for at loading.

        Raises:
            BundleError: the model cannot be run; replaying golden pairs shows it before a client does.
        """
        try:
            found: list[NDArray[np.float32]] = self._session.run(self._outputs, {self._input: x})
        except _ORT_ERRORS as error:
            raise BundleError(f"an ONNX model of the bundle cannot be run: {error}") from error
        return found
