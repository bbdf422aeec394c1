"""Interrupts that are put off come later, once, and to the handler that was there before."""

from __future__ import annotations

import signal
import threading

import pytest

from hz3py.interrupts import INTERRUPTS, PutOff


@pytest.fixture
def handlers() -> list[object]:
    """Return the present handlers, to compare with."""
    return [signal.getsignal(number) for number in INTERRUPTS]


def test_an_interrupt_waits_for_the_end(handlers: list[object]) -> None:
    seen = []

    def work() -> None:
        with PutOff():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            seen.append("went on")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == ["went on"]
    assert [signal.getsignal(number) for number in INTERRUPTS] == handlers


def test_it_comes_where_it_is_let_through(handlers: list[object]) -> None:
    with PutOff() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.let_through()
        assert [signal.getsignal(number) for number in INTERRUPTS] == handlers
    assert [signal.getsignal(number) for number in INTERRUPTS] == handlers


def test_nothing_comes_of_nothing(handlers: list[object]) -> None:
    with PutOff() as interrupts:
        interrupts.let_through()
    assert [signal.getsignal(number) for number in INTERRUPTS] == handlers


def test_an_error_is_not_lost() -> None:
    with pytest.raises(ValueError, match="mine"), PutOff():
        raise ValueError("mine")


def test_another_thread_changes_no_handler(handlers: list[object]) -> None:
    found: list[object] = []

    def look() -> None:
        with PutOff():
            found.extend(signal.getsignal(number) for number in INTERRUPTS)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == handlers
