"""An exported policy, run by onnxruntime alone: no torch where decisions are replayed.

Enters: a file that `policy.export` wrote. Leaves: action probabilities and actions.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from xrl.columns import ACTIONS
from xrl.errors import ExportError

INPUT = "observation"
OUTPUT = "action_probabilities"


class ExportedPolicy:
    """One session, one thread."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            ExportError: the file is missing or does not answer with one probability per action.
        """
        if not path.is_file():
            raise ExportError(f"no policy at {path}; run `xrl policy`")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.width = int(self._session.get_inputs()[0].shape[1])
        answers = self.probabilities(np.zeros((1, self.width), dtype=np.float32)).shape[1]
        if answers != len(ACTIONS):
            raise ExportError(
                f"{path} answers {answers} actions, expected {len(ACTIONS)}; run `xrl policy` again"
            )

    def probabilities(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """(batch, width) -> (batch, actions)"""
        result: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: observations})[0]
        return result

    def actions(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        """The most probable action of each observation. (batch,)"""
        chosen: NDArray[np.int64] = self.probabilities(observations).argmax(axis=1)
        return chosen
