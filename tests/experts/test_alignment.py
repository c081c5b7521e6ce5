import numpy as np
import pytest

from xrl.errors import DataError
from xrl.experts import alignment


def _rotation(width: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


class TestProcrustes:
    def test_a_rotated_copy_is_turned_back(self):
        """The pull towards no turning costs little where the bars do say how to turn."""
        target = np.random.default_rng(0).normal(size=(400, 6))
        turn = _rotation(6, 1)
        found = alignment.procrustes(target @ turn.T, target)
        np.testing.assert_allclose(found @ found.T, np.eye(6), atol=1e-12)
        assert np.abs(target @ turn.T @ found - target).mean() < 0.1 * np.abs(target).mean()

    def test_equal_embeddings_are_left_alone(self):
        x = np.random.default_rng(0).normal(size=(50, 4))
        np.testing.assert_allclose(alignment.procrustes(x, x), np.eye(4), atol=1e-12)

    def test_directions_without_variance_are_not_turned(self):
        x = np.random.default_rng(0).normal(size=(50, 4))
        x[:, 3] = 0.0
        y = x.copy()
        y[:, :3] = x[:, :3] @ _rotation(3, 2)
        np.testing.assert_allclose(alignment.procrustes(y, x)[3], [0, 0, 0, 1], atol=1e-12)

    def test_other_bars_are_refused(self):
        with pytest.raises(DataError, match="the same bars twice"):
            alignment.procrustes(np.zeros((3, 2)), np.zeros((4, 2)))


def _head(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, probabilities of a linear head on them, and its logits."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(500, 8))
    logits = x @ rng.normal(size=(8, 3)) * 0.3 + np.array([0.2, -0.1, 0.0])
    p = np.exp(logits)
    return x, p / p.sum(axis=1, keepdims=True), logits


class TestOnto:
    def test_class_logits_are_carried_over_exactly(self):
        """Another network of the same logits in a basis of its own, with noise beside them."""
        x, p, _ = _head()
        rng = np.random.default_rng(5)
        logits = alignment.log_contrasts(p)
        other = np.concatenate([logits, rng.normal(0, 5, size=(500, 6))], axis=1) @ _rotation(8, 4)
        own, target = alignment.contrasts(other, p), alignment.contrasts(x, p)
        mapped = other @ alignment.onto(other, own, x, target)
        np.testing.assert_allclose(mapped @ target, other @ own, atol=1e-10)
        turned = other @ alignment.procrustes(other, x)  # a plain rotation would lose part of them
        assert np.corrcoef(turned @ target[:, 0], logits[:, 0])[0, 1] < 0.95

    def test_what_lies_beside_them_is_turned_back(self):
        x, p, _ = _head()
        turn = _rotation(8, 3)
        own, target = alignment.contrasts(x @ turn, p), alignment.contrasts(x, p)
        mapped = x @ turn @ alignment.onto(x @ turn, own, x, target)
        assert np.abs(mapped - x).mean() < 0.1 * np.abs(x).mean()

    def test_a_network_is_mapped_onto_itself_unchanged(self):
        x, p, _ = _head()
        own = alignment.contrasts(x, p)
        np.testing.assert_allclose(x @ alignment.onto(x, own, x, own), x, atol=1e-8)


def test_contrasts_read_the_class_logits_off_the_embedding():
    x, p, logits = _head()
    read = x @ alignment.contrasts(x, p)
    assert np.corrcoef(read[:, 0], logits[:, 2] - logits[:, 0])[0, 1] > 0.9999
    assert np.corrcoef(read[:, 1], logits[:, 1] - logits[:, [0, 2]].mean(axis=1))[0, 1] > 0.9999


def test_complement_is_orthonormal_and_orthogonal_to_what_is_used():
    x, p, _ = _head()
    used = alignment.contrasts(x, p)
    rest = alignment.complement(x, used, 4)
    np.testing.assert_allclose(rest.T @ rest, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(rest.T @ used, 0.0, atol=1e-10)


def test_complement_takes_the_largest_variance_first():
    x = np.random.default_rng(0).normal(size=(2000, 4)) * np.array([1.0, 5.0, 3.0, 0.1])
    found = alignment.complement(x, np.eye(4)[:, :1], 2)
    np.testing.assert_allclose(found, np.eye(4)[:, [1, 2]], atol=0.05)


def test_a_probe_reads_the_next_fold_once_aligned():
    x, p, _ = _head()
    odds = np.log(p[:, 2] / p[:, 0])
    turn = _rotation(8, 3)
    aligned, unaligned = alignment.probe(x, odds, x, x @ turn, odds)
    assert aligned > 0.99
    assert unaligned < 0.7
