import numpy as np

from xrl import columns
from xrl.features import coverage, table


def training(**flags):
    """Ten bars; `taker=6`: taker volume is available on six of them."""
    matrix = np.ones((10, len(table.FEATURES)))
    for source, flag in coverage.FLAGS.items():
        matrix[flags.get(source, 10) :, table.positions([flag])[0]] = 0.0
    return matrix


def test_flags_that_never_change_are_left_out():
    found = {column.name: column for column in coverage.left_out(training(), 0.8)}
    assert set(found) == {"taker_available", "funding_available", "open_interest_available"}
    assert found["taker_available"].reason == "constant in training"


def test_a_source_below_coverage_takes_its_columns_with_it():
    found = {column.name: column for column in coverage.left_out(training(taker=7), 0.8)}
    taker = {name for name in found if name.startswith("taker")}
    assert taker == {"taker_imbalance", "taker_imbalance_12", "taker_available"}
    assert found["taker_imbalance"].coverage == 0.7
    assert "70.0%" in found["taker_imbalance"].reason
    assert found["taker_imbalance"].observed  # the observation keeps its place, at 0
    assert not found["taker_imbalance_12"].observed


def test_a_source_with_gaps_above_coverage_keeps_its_flag():
    assert not any(c.name.startswith("taker") for c in coverage.left_out(training(taker=9), 0.8))


def test_columns_that_need_no_optional_source_always_stay():
    found = {column.name for column in coverage.left_out(training(taker=0, funding=0, open_interest=0), 0.8)}
    assert {table.feature(name).source for name in found} == set(coverage.FLAGS)


def test_neutralised_columns_are_zero_and_the_rest_untouched():
    matrix = training()
    found = coverage.neutralise(matrix, ["taker_imbalance"])
    position = table.positions(["taker_imbalance"])[0]
    assert (found[:, position] == 0).all()
    assert (np.delete(found, position, axis=1) == np.delete(matrix, position, axis=1)).all()
    assert (matrix[:, position] == 1).all()


def test_required_columns_are_those_of_the_observation():
    assert set(columns.MARKET_STATE) | set(columns.REGIME_STATE) == table.REQUIRED
