import numpy as np
import pytest

from xrl.features.calendar import calendar


def at(time):
    return {name: values[0] for name, values in calendar(np.array([time], dtype="datetime64[ms]")).items()}


def test_six_in_the_morning_is_a_quarter_of_the_day():
    found = at("2025-01-06T06:00")
    assert found["hour_sin"] == pytest.approx(1)
    assert found["hour_cos"] == pytest.approx(0, abs=1e-12)


def test_the_week_begins_on_monday_midnight():
    found = at("2025-01-06T00:00")
    assert (found["week_sin"], found["week_cos"]) == (0, 1)


@pytest.mark.parametrize(
    ("time", "share"),
    [
        ("2025-01-10T03:00", 0.0),
        ("2025-01-10T23:00", 1.0),
        ("2025-01-10T13:00", 0.5),
        ("2025-01-12T22:00", 0.05),
    ],
)
def test_weekend_share_of_the_next_twenty_hours(time, share):
    """2025-01-10 is a Friday: hours after 03:00 end at 23:00, of those after 13:00 half are Saturday's."""
    assert at(time)["weekend_ahead"] == pytest.approx(share)


def test_the_same_hour_of_another_week_has_the_same_bits():
    assert at("2025-01-08T17:00") == at("2019-09-11T17:00")
