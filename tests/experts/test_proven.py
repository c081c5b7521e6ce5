"""A file is written only when onnxruntime computes what TensorFlow does."""

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from xrl.errors import ExportError
from xrl.experts.proven import write_proven


def test_every_output_is_held_against_the_file(tmp_path):
    def function(x):
        return {"twice": 2.0 * x, "sum": tf.reduce_sum(x, axis=1)}

    assert write_proven(function, (3, 2), tmp_path / "deep" / "f.onnx") < 1e-6
    session = onnxruntime.InferenceSession(str(tmp_path / "deep" / "f.onnx"))
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    twice, total = session.run(["twice", "sum"], {"x": x})
    np.testing.assert_array_equal(twice, 2 * x)
    np.testing.assert_array_equal(total, x.sum(axis=1))


def test_a_file_that_computes_something_else_is_not_written(tmp_path):
    def function(x):
        return {"same": tf.identity(x), "noisy": x + 1e-3 * tf.random.uniform(tf.shape(x))}

    with pytest.raises(ExportError, match="differs from the trained one by"):
        write_proven(function, (2,), tmp_path / "f.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_onnx_does_not_know_is_refused(tmp_path):
    def function(x):
        return {"y": tf.math.erfc(x)}

    with pytest.raises(ExportError, match="onnxruntime cannot run"):
        write_proven(function, (2,), tmp_path / "f.onnx")
    assert list(tmp_path.iterdir()) == []
