"""Samples of several threads wait for CPUs that are as near as usual."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hz3py.measure.steady import SteadyCores


class Cores:
    """Says one distance after the other, and counts the seconds that were waited."""

    def __init__(self, distances_ns: Iterable[float | None]) -> None:
        self._distances_ns = iter(distances_ns)
        self.waited_s = 0.0
        self.steady = SteadyCores(self.ask, self.sleep)

    def ask(self) -> float | None:
        return next(self._distances_ns)

    def sleep(self, seconds: float) -> None:
        self.waited_s += seconds

    def wait(self, times: int) -> list[float | None]:
        return [self.steady.wait() for _ in range(times)]


def test_nobody_waits_before_it_is_known_what_is_usual() -> None:
    cores = Cores([80, 330, 81])
    assert cores.wait(3) == [80, 330, 81]
    assert cores.waited_s == 0


def test_a_sample_waits_until_the_cpus_are_back() -> None:
    cores = Cores([80, 81, 82, 330, 320, 83, 84])
    assert cores.wait(5) == [80, 81, 82, 83, 84]
    assert cores.waited_s == pytest.approx(0.2)


def test_nearer_than_usual_is_unusual_too() -> None:
    cores = Cores([330, 330, 330, 80, 331])
    assert cores.wait(4)[-1] == 331


def test_a_change_for_good_is_waited_for_a_few_times_only() -> None:
    cores = Cores([80.0] * 9 + [330.0] * 1000)
    assert cores.wait(9 + 100)[-1] == 330
    assert cores.waited_s == pytest.approx(5 * 2.0)


def test_a_distance_that_is_not_known_is_not_waited_for() -> None:
    cores = Cores([80, 81, 82, None, 330, None, 80])
    assert cores.wait(5) == [80, 81, 82, None, None]
    assert cores.wait(1) == [80]
