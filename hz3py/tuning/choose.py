"""From names of knobs, fixed values and ranges to a search space."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hz3py.errors import UsageError
from hz3py.tuning.ranges import (
    DEFAULT_KNOBS,
    GROUPS,
    NEEDS,
    RANGES,
    WIDE,
    ZERO_IS_SPECIAL,
    KnobInfo,
    Value,
    allows,
    tunable,
)
from hz3py.tuning.space import Dimension, Knobs, Space


def build(
    table: Sequence[KnobInfo],
    *,
    names: Sequence[str] = DEFAULT_KNOBS,
    fixed: Mapping[str, str] | None = None,
    ranges: Mapping[str, str] | None = None,
) -> Space:
    """Choose the knobs that vary.

    Args:
        table: The knob table of the allocator.
        names: Knobs, groups of `GROUPS`, or "all".
        fixed: Knob to value; such a knob does not vary.
        ranges: Knob to "lo:hi", or to words by comma for a choice.

    Raises:
        UsageError: A name is unknown, a value or range is not possible, or nothing is left to vary.
    """
    infos = {info.name: info for info in table}
    fixed, ranges = fixed or {}, ranges or {}
    for name in (*fixed, *ranges):
        _check_known(name, infos, groups=False)
    for name in sorted(fixed.keys() & ranges.keys()):
        raise UsageError(f"knob {name} is both fixed and given a range", "leave one of them out")
    wanted = _expanded(names, infos, set(fixed))
    wanted = _with_parents(
        [*wanted, *(name for name in ranges if name not in wanted)], infos, fixed
    )
    defaults = {name: _plain(info.default) for name, info in infos.items()}
    settled = {name: _value(infos[name], text) for name, text in fixed.items()}
    space = Space((), settled, defaults)
    dimensions = [
        _dimension(infos[name], ranges.get(name))
        for name in wanted
        if name not in fixed and not _is_dead(name, settled)
    ]
    if not dimensions:
        raise UsageError(
            "nothing is left to vary: every chosen knob is fixed or has no effect",
            "choose others with --knobs, or fix fewer with --set",
        )
    return replace(space, dimensions=tuple(dimensions))


def _expanded(names: Iterable[str], infos: Mapping[str, KnobInfo], fixed: set[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if name == "all":
            found += [each for each, info in infos.items() if tunable(info)]
        elif name in GROUPS:
            found += [each for each in GROUPS[name] if each in infos]
        else:
            _check_known(name, infos, groups=True)
            if not tunable(infos[name]):
                raise UsageError(
                    f"knob {name} is not for tuning: it trades safety or diagnosis, not speed",
                    f"fix it with --set {name}=VALUE",
                )
            found.append(name)
    return [name for name in dict.fromkeys(found) if name not in fixed]


def _with_parents(
    names: Iterable[str], infos: Mapping[str, KnobInfo], fixed: Mapping[str, str]
) -> list[str]:
    """Put the knob that decides whether another is read before it, and let it vary as well."""
    ordered: dict[str, None] = {}
    for name in names:
        parent = NEEDS.get(name, ("",))[0]
        if parent in infos and parent not in fixed:
            ordered[parent] = None
    return list(dict.fromkeys([*ordered, *names]))


def _is_dead(name: str, fixed: Knobs) -> bool:
    """Whether a fixed knob makes this one mean nothing."""
    parent, needed = NEEDS.get(name, ("", None))
    return parent in fixed and not allows(fixed[parent], needed)


def _dimension(info: KnobInfo, text: str | None) -> Dimension:
    default = _plain(info.default)
    if info.type == "choice":
        words = tuple(info.choices) if text is None else tuple(text.split(","))
        for word in words:
            _value(info, word)
        return Dimension(info.name, default, words)
    if info.type == "bool":
        return Dimension(info.name, default, (0, 1))
    zero_is_special = info.name in ZERO_IS_SPECIAL or (info.name not in RANGES and info.min == 0)
    if text is not None:
        low, high = _range(info, text)
        zero = low == 0 and (zero_is_special or high > WIDE)
        low = max(low, int(zero))
    else:
        low, high = RANGES.get(info.name, (max(info.min, 1), info.max))
        low, high = max(low, info.min), min(high, info.max)
        zero = zero_is_special and info.min == 0
        if isinstance(default, int) and default:
            low, high = min(low, default), max(high, default)
    return Dimension(
        name=info.name,
        default=default,
        low=low,
        high=high,
        log=low > 0 and high >= WIDE * low,
        zero=zero,
    )


def _range(info: KnobInfo, text: str) -> tuple[int, int]:
    low_text, colon, high_text = text.partition(":")
    if not colon:
        raise UsageError(f"range {text!r} of {info.name} is not LO:HI", "write for example 1:64")
    low, high = (int(_value(info, each)) for each in (low_text, high_text))
    if low >= high:
        raise UsageError(
            f"range {text} of {info.name} is empty: {low_text} is not below {high_text}",
            f"write {high_text}:{low_text}, or fix it with --set {info.name}={low_text}",
        )
    return low, high


_SUFFIXES = {"K": 10, "M": 20, "G": 30, "T": 40}


def _value(info: KnobInfo, text: str) -> Value:
    """Read a value as the allocator would."""
    if info.type == "choice":
        if text not in info.choices:
            raise UsageError(
                f"knob {info.name} has no choice {text!r}", f"choose from {', '.join(info.choices)}"
            )
        return text
    digits = text.strip().upper()
    shift = _SUFFIXES.get(digits[-1:], 0)
    digits = digits[:-1] if shift else digits
    if not digits.isdecimal():
        raise UsageError(
            f"{text!r} is no value of knob {info.name}", f"see `hz3 knobs {info.name}`"
        )
    value = int(digits) << shift
    low, high = (0, 1) if info.type == "bool" else (info.min, info.max)
    if not low <= value <= high:
        raise UsageError(
            f"{text} is not possible for knob {info.name}", f"it takes {low} to {high}"
        )
    return value


def _plain(value: int | bool | str) -> Value:
    return int(value) if isinstance(value, bool) else value


def _check_known(name: str, infos: Mapping[str, KnobInfo], *, groups: bool) -> None:
    if name in infos:
        return
    words = [*infos, *(("all", *GROUPS) if groups else ())]
    near = difflib.get_close_matches(name, words, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    listed = f"; groups: all, {', '.join(GROUPS)}" if groups else ""
    raise UsageError(f"unknown knob {name!r}", f"{guess}see `hz3 knobs`{listed}")
