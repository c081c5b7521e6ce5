"""Truths about one budget of requests for many threads. Time is a number that sleeping moves."""

import threading
from dataclasses import dataclass, field

import pytest

from xrl.errors import ExchangeError
from xrl.market.limiter import Limiter


@dataclass
class Time:
    """A clock that only sleeping moves, shared by threads."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.now += seconds

    def limiter(self) -> Limiter:
        return Limiter(lambda: self.now, self.sleep)


def test_each_request_keeps_the_next_one_waiting_for_its_cost():
    time = Time()
    limiter = time.limiter()
    sent = []
    for cost in (0.5, 0.5, 2.0, 0.5):
        limiter.wait(cost)
        sent.append(time.now)
    assert sent == [100.0, 100.5, 101.0, 103.0]


def test_time_that_passed_anyway_is_not_waited_for_again():
    time = Time()
    limiter = time.limiter()
    limiter.wait(1.0)
    time.now += 0.75
    limiter.wait(1.0)
    assert time.slept == [0.25]


def test_requests_without_cost_do_not_wait():
    time = Time()
    limiter = time.limiter()
    for _ in range(5):
        limiter.wait()
    assert time.slept == []


def test_threads_share_one_budget():
    """Eight threads that send five requests each keep the distance that one thread would."""
    time = Time()
    limiter = time.limiter()
    sent: list[float] = []

    def send() -> None:
        for _ in range(5):
            limiter.wait(0.1)
            sent.append(time.now)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(sent) == 40
    assert time.now >= 100.0 + 39 * 0.1 - 1e-6


def test_a_pause_holds_up_requests_that_cost_nothing_too():
    time = Time()
    limiter = time.limiter()
    limiter.pause(7.0)
    limiter.wait()
    assert time.now == 107.0


def test_a_pause_ordered_while_a_thread_sleeps_holds_that_thread_too():
    time = Time()
    orders = [5.0]  # another thread's answer orders it during the first sleep

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if orders:
            limiter.pause(orders.pop())

    limiter = Limiter(lambda: time.now, sleep)
    limiter.wait(1.0)
    limiter.wait(1.0)
    assert time.slept == [1.0, 5.0] and time.now == 106.0


def test_a_shorter_pause_does_not_end_a_longer_one():
    time = Time()
    limiter = time.limiter()
    limiter.pause(10.0)
    limiter.pause(1.0)
    assert limiter.paused_for() == 10.0
    time.now += 12.0
    assert limiter.paused_for() == 0.0


def test_closing_sends_waiting_threads_away_at_once():
    limiter = Limiter()
    limiter.pause(3600.0)
    met: list[str] = []

    def wait() -> None:
        try:
            limiter.wait()
        except ExchangeError as error:
            met.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    limiter.close()
    thread.join(30)
    assert not thread.is_alive() and "closed" in met[0]
    with pytest.raises(ExchangeError, match="closed"):
        limiter.wait()
