"""Several networks as one expert, on a table whose first column decides the class."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
import pytest

from xrl.errors import DataError, ExportError
from xrl.evaluation import calibration
from xrl.evaluation.committee import mutual_information
from xrl.experts import alignment, ensemble, storage, train
from xrl.experts.ensemble import Ensemble, Trained
from xrl.experts.export import OUTPUTS, to_onnx
from xrl.experts.model import build_expert
from xrl.experts.windows import Rows, gather, positions
from xrl.presets import Preset, chosen

BARS, WINDOW = 400, 30
RECIPES = tuple(
    chosen("lean", {"schedule": {"epochs": 1, "batch": 4, "weight_decay": 0.0}, "network": network})
    for network in ({}, {"architecture": "lstm", "units": 16})
)


@pytest.fixture(scope="module")
def rows() -> Rows:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BARS, 4)).astype(np.float32)
    label = np.digitize(x[:, 0] + 0.3 * rng.normal(size=BARS), [-0.5, 0.5]).astype(np.int8)
    hours = np.arange(BARS) * 3_600_000
    return Rows(x, positions(np.zeros(BARS, np.int64), hours, np.ones(BARS, bool)), label)


MASK = np.arange(BARS) < 300
NONE = np.zeros(BARS, bool)
WANTED = np.arange(300, BARS)


def _fit(rows: Rows, recipes: Sequence[Preset], seeds: Sequence[int]) -> tuple[Trained, ...]:
    return ensemble.fit(rows, MASK, NONE, recipes, seeds, WINDOW)


@pytest.fixture(scope="module")
def networks(rows: Rows) -> tuple[Trained, ...]:
    """Two recipes with two seeds each."""
    return _fit(rows, RECIPES, (0, 1))


@pytest.fixture(scope="module")
def joined(networks: tuple[Trained, ...], rows: Rows) -> Ensemble:
    return ensemble.joined(networks, rows, MASK, WINDOW)


def test_every_recipe_is_trained_with_every_seed(networks):
    assert [(own.member, own.seed) for own in networks] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    weights = [own.fitted.model.get_weights()[0] for own in networks[:2]]
    assert not np.array_equal(*weights)


def test_one_network_answers_as_it_does_alone(networks, rows):
    alone = ensemble.joined(networks[:1], rows, MASK, WINDOW)
    said = ensemble.answer(alone, rows, WANTED, 1.7)
    own = train.predict(networks[0].fitted.model, rows, WANTED, WINDOW, 1.7)
    np.testing.assert_allclose(said.probabilities, own.probabilities, atol=1e-14)
    np.testing.assert_array_equal(said.embedding, own.embedding)
    np.testing.assert_allclose(said.uncertainty, 0.0, atol=1e-12)


def test_probabilities_are_pooled_then_tempered(networks, joined, rows):
    each = np.stack([train.predict(own.fitted.model, rows, WANTED, WINDOW).probabilities for own in networks])
    said = ensemble.answer(joined, rows, WANTED, 1.7)
    np.testing.assert_allclose(said.probabilities, calibration.apply(each.mean(axis=0), 1.7), atol=1e-12)
    np.testing.assert_allclose(said.uncertainty, mutual_information(each), atol=1e-12)
    assert said.uncertainty.min() > 0


def test_the_mean_embedding_holds_every_networks_class_logits(networks, joined, rows):
    """Read with the first network's contrasts, it gives the mean of what each network's own would give."""
    said = ensemble.answer(joined, rows, WANTED)
    learned = np.arange(WINDOW - 1, 300)
    own = []
    for network in networks:
        model = network.fitted.model
        known = train.predict(model, rows, learned, WINDOW)
        contrasts = alignment.contrasts(known.embedding.astype(float), known.probabilities)
        own.append(train.predict(model, rows, WANTED, WINDOW).embedding @ contrasts)
        if network is networks[0]:
            first = contrasts
    np.testing.assert_allclose(said.embedding @ first, np.mean(own, axis=0), atol=1e-3)


def test_the_maps_know_training_bars_only(networks, joined, rows):
    later = Rows(np.where(MASK[:, None], rows.x, 3.0).astype(np.float32), rows.position, rows.label)
    again = ensemble.joined(networks, later, MASK, WINDOW)
    np.testing.assert_array_equal(again.bases, joined.bases)
    np.testing.assert_array_equal(joined.bases[0], np.eye(256))


def test_what_was_written_is_read_again(joined, rows, tmp_path):
    for number, model in enumerate(joined.models):
        storage.save_model(model, tmp_path / ensemble.NETWORK.format(number))
    np.save(tmp_path / ensemble.BASES, np.stack(joined.bases).astype(np.float32))
    found = ensemble.answer(ensemble.load(tmp_path, WINDOW), rows, WANTED, 1.2)
    said = ensemble.answer(joined, rows, WANTED, 1.2)
    np.testing.assert_allclose(found.probabilities, said.probabilities, atol=1e-12)
    np.testing.assert_allclose(found.embedding, said.embedding, atol=1e-5)
    with pytest.raises(DataError, match=r"no bases\.npy at .*; run its stage"):
        ensemble.load(tmp_path / "elsewhere", WINDOW)


def test_one_graph_answers_for_networks_of_two_kinds(networks, rows, tmp_path):
    """Held against the ensemble's own answer, which goes another way."""
    pair = ensemble.joined(networks[::2], rows, MASK, WINDOW)
    matrix = np.random.default_rng(0).normal(0, 0.1, (256, 5))
    path = tmp_path / "expert.onnx"
    assert to_onnx(pair.models, path, 1.7, [basis @ matrix for basis in pair.bases]) < 1e-4
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    windows = gather(rows.x, WANTED - WINDOW + 1, WINDOW)
    found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"x": windows})))
    said = ensemble.answer(pair, rows, WANTED, 1.7)
    np.testing.assert_allclose(found["probabilities"], said.probabilities, atol=1e-5)
    np.testing.assert_allclose(found["uncertainty"][:, 0], said.uncertainty, atol=1e-5)
    np.testing.assert_allclose(found["block"], said.embedding @ matrix, atol=1e-4)
    with pytest.raises(ExportError, match="must read the same window and columns"):
        other = build_expert(5, WINDOW, RECIPES[0].network).last
        to_onnx([pair.models[0], other], path, 1.0, None)


class Interrupted(Exception):
    """Whoever watches has had enough."""


def test_an_interrupted_ensemble_goes_on_in_the_network_it_was_in(networks, rows, tmp_path):
    told: list[float] = []

    def stop_at_the_second(figures: Mapping[str, float], _: int) -> None:
        told.append(figures["epoch"])
        if len(told) == 2:
            raise Interrupted

    def count(figures: Mapping[str, float], _: int) -> None:
        told.append(figures["epoch"])

    again = (rows, MASK, NONE, RECIPES[:1], (0, 1), WINDOW)
    with pytest.raises(Interrupted):
        ensemble.fit(*again, folder=tmp_path, watch=stop_at_the_second)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0"]  # the second had not saved an epoch
    found = ensemble.fit(*again, folder=tmp_path, watch=count)
    assert len(told) == 3  # the first network is restored, only the second is trained
    for own, whole in zip(found, networks[:2]):
        for one, other in zip(own.fitted.model.get_weights(), whole.fitted.model.get_weights()):
            np.testing.assert_array_equal(one, other)
