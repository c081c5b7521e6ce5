import numpy as np

from xrl import columns
from xrl.features import coverage, table


def training(**flags):
    """Ten bars on which every column moves; `taker=6`: taker volume is available on six of them."""
    matrix = np.tile(np.arange(10.0)[:, None], len(table.FEATURES))
    for source, flag in coverage.FLAGS.items():
        position = table.positions([flag])[0]
        matrix[:, position] = 1.0
        matrix[flags.get(source, 10) :, position] = 0.0
    return matrix


def named(matrix):
    return {column.name: column for column in coverage.left_out(matrix, 0.8)}


def test_flags_that_never_change_are_left_out():
    found = named(training())
    assert set(found) == set(coverage.FLAGS.values())
    assert found["taker_available"].reason == "constant in training"


def test_every_optional_input_has_its_flag():
    assert set(coverage.FLAGS) == {"taker", "funding", "open_interest", "lead", "market"}
    for feature in table.FEATURES:
        assert (feature.source in coverage.FLAGS) == bool(feature.flag)


def test_a_source_below_coverage_takes_its_columns_with_it():
    found = named(training(taker=7))
    taker = {name for name in found if name.startswith("taker")}
    assert taker == {feature.name for feature in table.FEATURES if feature.source == "taker"}
    assert {"taker_imbalance", "taker_imbalance_12", "taker_imbalance_48", "taker_available"} <= taker
    assert found["taker_imbalance"].coverage == 0.7
    assert "70.0%" in found["taker_imbalance"].reason
    assert found["taker_imbalance"].observed  # the observation keeps its place, at 0
    assert not found["taker_imbalance_12"].observed


def test_a_source_with_gaps_above_coverage_keeps_its_flag():
    assert not any(name.startswith("taker") for name in named(training(taker=9)))


def test_a_pattern_that_never_occurs_in_training_is_left_out():
    """The model would meet its first one with weights that nothing has trained."""
    matrix = training()
    matrix[:, table.positions(["three_inside", "regime_up"])] = 0.0
    found = named(matrix)
    assert found["three_inside"].reason == "constant in training"
    assert not found["three_inside"].observed
    assert found["regime_up"].observed


def test_rounding_is_no_movement():
    matrix = training()
    matrix[:, table.positions(["cci"])[0]] = 3.0 + 1e-15 * np.arange(10)
    assert found_only(matrix) == {"cci"}


def found_only(matrix):
    return set(named(matrix)) - set(coverage.FLAGS.values())


def test_columns_that_need_no_optional_source_always_stay():
    found = found_only(training(**dict.fromkeys(coverage.FLAGS, 0)))
    assert {table.feature(name).source for name in found} == set(coverage.FLAGS)


def test_neutralised_columns_are_zero_and_the_rest_untouched():
    matrix = training()
    positions = table.positions(["taker_imbalance"])
    found = coverage.neutralise(matrix, positions)
    assert (found[:, positions] == 0).all()
    assert (np.delete(found, positions, axis=1) == np.delete(matrix, positions, axis=1)).all()
    assert (matrix[1:, positions] > 0).all()


def test_required_columns_are_those_of_the_observation():
    assert set(columns.MARKET_STATE) | set(columns.REGIME_STATE) == table.REQUIRED
