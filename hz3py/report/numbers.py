"""Figures written for people: three significant digits, a unit, a dash for what is unknown."""

from __future__ import annotations

import math

from hz3py.analysis.intervals import Interval

UNKNOWN = "-"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
TIMED_UNIT = "1/s"
"""Unit of workloads whose throughput is one divided by their duration."""


def significant(value: float) -> str:
    """Return the value with three significant digits, never in exponent form."""
    if math.isnan(value):
        return UNKNOWN
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if round(abs(value), 2 - magnitude) >= 10 ** (magnitude + 1):
        magnitude += 1
    return f"{value:.{max(0, 2 - magnitude)}f}"


def speed(value: float, unit: str) -> str:
    """Return a throughput with its unit; for timed workloads the duration, which says more."""
    if math.isnan(value):
        return UNKNOWN
    if unit == TIMED_UNIT:
        return f"{significant(1 / value)} s"
    for factor, prefix in _PREFIXES:
        if value >= factor:
            return f"{significant(value / factor)} {prefix} {unit}"
    return f"{significant(value)} {unit}"


def count(value: float) -> str:
    """Return a number of events, with a prefix from ten thousand on."""
    if math.isnan(value):
        return UNKNOWN
    if value < 10_000:
        return f"{value:.0f}"
    factor, prefix = next(pair for pair in _PREFIXES if value >= pair[0])
    return f"{significant(value / factor)} {prefix}"


def plural(number: int, noun: str) -> str:
    """Return the number with its noun: "1 block", "5 blocks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def mib(kb: float) -> str:
    """Return KiB as a number of MiB, without the unit."""
    return significant(kb / 1024)


def ratio(value: float) -> str:
    """Return a ratio with two decimals."""
    return UNKNOWN if math.isnan(value) else f"{value:.2f}"


def bounds(interval: Interval) -> str:
    """Return the bounds of an interval; empty where they say nothing."""
    if not interval.known or interval.low == interval.high:
        return ""
    return f"{interval.low:.2f} to {interval.high:.2f}"


def duration(seconds: float) -> str:
    """Return a duration such as "45 s", "3 min 05 s" or "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
