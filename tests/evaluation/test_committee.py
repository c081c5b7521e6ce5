"""Opinions joined, and how far they differ, by hand."""

import math

import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation.committee import Vote, mutual_information, vote

SURE_SELL, SURE_BUY, EVEN = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]


def _vote(*rows: list[float], own: float = 0.0) -> Vote:
    return Vote(np.array(rows), np.full(len(rows), own))


class TestMutualInformation:
    def test_members_that_agree_are_certain_however_even_the_odds(self):
        members = np.array([[EVEN, SURE_BUY]] * 3)  # (members, rows, classes)
        np.testing.assert_allclose(mutual_information(members), [0.0, 0.0], atol=1e-12)

    def test_two_sure_members_that_contradict_each_other_differ_by_one_bit(self):
        found = mutual_information(np.array([[SURE_SELL], [SURE_BUY]]))
        assert found[0] == pytest.approx(math.log(2))

    def test_shares_count_members_as_often_as_they_weigh(self):
        two_of_three = mutual_information(np.array([SURE_SELL, SURE_BUY]), np.array([1 / 3, 2 / 3]))
        thrice = mutual_information(np.array([SURE_SELL, SURE_BUY, SURE_BUY]))
        assert float(two_of_three) == pytest.approx(float(thrice))

    def test_one_member_is_never_uncertain_of_itself(self):
        p = np.random.default_rng(0).dirichlet([1, 1, 1], size=(1, 50))
        np.testing.assert_allclose(mutual_information(p), 0.0, atol=1e-12)
        assert (mutual_information(p) >= 0).all()


class TestVote:
    def test_the_committee_is_the_weighted_mean(self):
        experts = {"a": _vote([0.5, 0.3, 0.2]), "b": _vote([0.1, 0.3, 0.6])}
        np.testing.assert_allclose(vote(experts, {"a": 1, "b": 3}).probabilities, [[0.2, 0.3, 0.5]])

    def test_equal_weights_are_the_plain_mean_to_the_bit(self):
        p = np.random.default_rng(0).dirichlet([1, 1, 1], size=(2, 50))
        found = vote({"a": Vote(p[0], np.zeros(50)), "b": Vote(p[1], np.zeros(50))}, {"a": 1, "b": 1})
        np.testing.assert_array_equal(found.probabilities, p.mean(axis=0))

    def test_uncertainty_is_that_among_the_experts_and_that_within_them(self):
        """All who vote as one flat ensemble: entropy of the mean less the mean entropy."""
        rng = np.random.default_rng(0)
        first, second = rng.dirichlet([1, 1, 1], size=(2, 5)), rng.dirichlet([1, 1, 1], size=(2, 5))
        experts = {
            name: Vote(members.mean(axis=0), mutual_information(members))
            for name, members in (("a", first), ("b", second))
        }
        flat = mutual_information(np.concatenate([first, second]))
        np.testing.assert_allclose(vote(experts, {"a": 1, "b": 1}).uncertainty, flat)

    def test_an_expert_without_weight_changes_nothing(self):
        one, other = _vote([0.5, 0.3, 0.2]), _vote([0.1, 0.3, 0.6], own=0.4)
        found = vote({"a": one, "b": other}, {"a": 2.0, "b": 0.0})
        np.testing.assert_array_equal(found.probabilities, one.probabilities)
        assert found.uncertainty[0] == pytest.approx(0.0, abs=1e-12)

    def test_missing_weights_are_named(self):
        with pytest.raises(DataError, match=r"weights must name a, b .* received \{'a': 1\}"):
            vote({"a": _vote(EVEN), "b": _vote(EVEN)}, {"a": 1})
