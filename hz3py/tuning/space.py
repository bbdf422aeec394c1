"""The search space: which knobs may vary, over which values, and when a knob means anything.

Ranges here are narrower than what the allocator accepts: values beyond them have never been worth
a trial. A knob that this table does not know (a newer one) takes its range from the knob table.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from hz3py.errors import UsageError

Value: TypeAlias = "int | str"
Knobs: TypeAlias = "Mapping[str, Value]"

DEFAULT_KNOBS = ("pack_bestfit_k", "drain_limit", "stash_max_objs")

GROUPS: dict[str, tuple[str, ...]] = {
    "cache": (
        "thread_cache_bytes",
        "bin_bytes",
        "bin_blocks",
        "epoch_events",
        "epoch_ms",
        "decay_percent",
        "decay_idle_ticks",
    ),
    "remote": ("remote_route", "drain_limit", "stash_max_objs", "stash_spill"),
    "transfer": ("transfer_slots", "transfer_bytes"),
    "pack": (
        "pack_bestfit_k",
        "pack_tries",
        "active_set_k",
        "quarantine",
        "quarantine_ttl_ms",
    ),
    "large": ("large_cache_soft", "large_madvise", "large_stitch", "huge_pages"),
    "purge": (
        "purge_delay_ms",
        "purge_budget_bytes",
        "purge_collapse",
        "retention_frozen_percent",
        "retention_debt_bytes",
        "retention_subrelease",
    ),
    "pools": ("shards",),
}

_RANGES: dict[str, tuple[int, int]] = {
    "shards": (1, 64),
    "thread_cache_bytes": (1 << 18, 1 << 26),
    "bin_bytes": (1 << 14, 1 << 22),
    "bin_blocks": (8, 127),
    "drain_limit": (4, 1024),
    "stash_max_objs": (16, 16384),
    "transfer_slots": (4, 1024),
    "transfer_bytes": (1 << 16, 1 << 26),
    "pack_tries": (1, 256),
    "pack_bestfit_k": (0, 16),
    "large_cache_soft": (1 << 20, 1 << 32),
    "purge_delay_ms": (10, 10_000),
    "purge_budget_bytes": (1 << 16, 1 << 30),
    "epoch_events": (16, 16384),
    "epoch_ms": (1, 10_000),
    "decay_percent": (0, 100),
    "decay_idle_ticks": (1, 32),
    "active_set_k": (0, 8),
    "quarantine": (1, 64),
    "quarantine_ttl_ms": (10, 10_000),
    "retention_frozen_percent": (10, 400),
    "retention_debt_bytes": (1 << 20, 1 << 30),
    "large_cache_hard": (1 << 20, 1 << 33),
}

_ZERO_IS_SPECIAL = frozenset(
    {
        "shards",
        "transfer_slots",
        "large_cache_soft",
        "purge_delay_ms",
        "quarantine",
        "retention_frozen_percent",
        "retention_debt_bytes",
    }
)
"""Zero is a mode of its own here (off, automatic, at once), far from the smallest other value."""

_NEEDS: dict[str, tuple[str, Value | None]] = {
    "drain_limit": ("remote_route", "owner_stash"),
    "stash_max_objs": ("remote_route", "owner_stash"),
    "stash_spill": ("remote_route", "owner_stash"),
    "quarantine_ttl_ms": ("quarantine", None),
}
"""A knob that is read only while another one has this value; None stands for all but 0."""

_NOT_FOR_SPEED = frozenset({"arena_bytes", "on_invalid_free", "reclaim_budget_pages"})
_NOT_FOR_SPEED_PREFIXES = (
    "observe",
    "live",
    "exit",
    "fault",
    "log",
    "trace",
    "check",
    "guard",
    "sample",
)
"""Knobs of safety and of diagnosis: no search may trade them for speed."""

_WIDE = 32
"""From this ratio of the ends on, a range is searched on a logarithmic scale."""
_ZERO_PARAMETER = "{}=0"


class KnobInfo(Protocol):
    """What the search has to know of a knob; `hz3py.native.KnobInfo` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def min(self) -> int: ...  # noqa: D102
    @property
    def max(self) -> int: ...  # noqa: D102
    @property
    def choices(self) -> list[str]: ...  # noqa: D102
    @property
    def default(self) -> int | bool | str: ...  # noqa: D102


class Trial(Protocol):
    """What proposes values; `optuna.trial.Trial` is one."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Propose a whole number."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Propose one of the choices."""
        ...


@dataclass(frozen=True)
class Dimension:
    """One knob that may vary.

    Attributes:
        name: The knob.
        default: Its default.
        choices: Words to choose from; empty for a number.
        low: Smallest number.
        high: Largest number.
        log: Whether equal steps are equal factors.
        zero: Whether zero is offered as a mode of its own beside the range.
    """

    name: str
    default: Value
    choices: tuple[Value, ...] = ()
    low: int = 0
    high: int = 0
    log: bool = False
    zero: bool = False

    def suggest(self, trial: Trial) -> Value:
        """Ask the trial for a value."""
        if self.choices:
            chosen: Value = trial.suggest_categorical(self.name, list(self.choices))
            return chosen
        if self.zero and trial.suggest_categorical(
            _ZERO_PARAMETER.format(self.name), [False, True]
        ):
            return 0
        value = trial.suggest_int(self.name, self.low, self.high, log=self.log)
        return self.rounded(value)

    def parameters(self, value: Value) -> dict[str, Any]:
        """Return what the trial would have to propose for this value."""
        if self.choices:
            return {self.name: value}
        found: dict[str, Any] = {}
        if self.zero:
            found[_ZERO_PARAMETER.format(self.name)] = value == 0
            if value == 0:
                return found
        return {**found, self.name: int(value)}

    def rounded(self, value: int) -> int:
        """Return the nearest of 1, 2, 3, 4, 6, 8, 12, ... on a wide range; else the value itself.

        Few distinct values let equal proposals share their samples. The default stays as it is.
        """
        if not self.log or value == self.default:
            return value
        power = 1 << (value.bit_length() - 1)
        nearest = min(
            (power, power * 3 // 2, power * 2), key=lambda step: abs(math.log(step / value))
        )
        return min(max(nearest, self.low), self.high)

    def described(self) -> str:
        """Write name and range as a phrase for a person."""
        if self.choices:
            return f"{self.name} ({', '.join(map(str, self.choices))})"
        zero = "0 or " if self.zero else ""
        return f"{self.name} ({zero}{self.low} to {self.high}{', log scale' if self.log else ''})"


@dataclass(frozen=True)
class Space:
    """Everything a search may choose.

    Attributes:
        dimensions: The knobs that vary, parents before those that depend on them.
        fixed: Knobs set once and for all.
        defaults: Default of every knob of the allocator.
    """

    dimensions: tuple[Dimension, ...]
    fixed: Knobs
    defaults: Knobs

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """Ask for a configuration; knobs that would mean nothing are not asked for."""
        chosen: dict[str, Value] = {**self.fixed}
        for dimension in self.dimensions:
            if self._is_read(dimension.name, chosen):
                chosen[dimension.name] = dimension.suggest(trial)
        return self.changes(chosen)

    def changes(self, knobs: Knobs) -> dict[str, Value]:
        """Return the knobs that differ from their default and are read, in the order of names."""
        return {
            name: value
            for name, value in sorted(knobs.items())
            if value != self.defaults[name] and self._is_read(name, knobs)
        }

    def without(self, knobs: Knobs, name: str) -> dict[str, Value]:
        """Return the configuration with one knob back at its default; fixed knobs stay."""
        return self.changes({other: value for other, value in knobs.items() if other != name})

    def default_parameters(self) -> dict[str, Any]:
        """Return the proposal in which every knob that varies has its default."""
        chosen: dict[str, Value] = {**self.fixed}
        found: dict[str, Any] = {}
        for dimension in self.dimensions:
            if self._is_read(dimension.name, chosen):
                chosen[dimension.name] = dimension.default
                found.update(dimension.parameters(dimension.default))
        return found

    def values(self, knobs: Knobs) -> dict[str, Value]:
        """Return the value of every varied knob; those that are not read are left out."""
        merged = {**self.defaults, **knobs}
        names = (dimension.name for dimension in self.dimensions)
        return {name: merged[name] for name in names if self._is_read(name, merged)}

    def _is_read(self, name: str, knobs: Knobs) -> bool:
        parent, needed = _NEEDS.get(name, ("", None))
        if parent not in self.defaults:
            return True
        return _allows(knobs.get(parent, self.defaults[parent]), needed)


def key_of(knobs: Knobs) -> str:
    """Return a text that is the same for equal configurations."""
    return json.dumps(dict(sorted(knobs.items())), separators=(",", ":"))


def described(knobs: Knobs) -> str:
    """Write a configuration as words for a person."""
    return " ".join(f"{name}={value}" for name, value in knobs.items()) or "the defaults"


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


def tunable(info: KnobInfo) -> bool:
    """Whether a search may vary this knob."""
    is_safe = info.name in _NOT_FOR_SPEED or info.name.startswith(_NOT_FOR_SPEED_PREFIXES)
    return not is_safe and info.type in ("int", "bytes", "bool", "choice")


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
        parent = _NEEDS.get(name, ("",))[0]
        if parent in infos and parent not in fixed:
            ordered[parent] = None
    return list(dict.fromkeys([*ordered, *names]))


def _is_dead(name: str, fixed: Knobs) -> bool:
    """Whether a fixed knob makes this one mean nothing."""
    parent, needed = _NEEDS.get(name, ("", None))
    return parent in fixed and not _allows(fixed[parent], needed)


def _allows(value: Value, needed: Value | None) -> bool:
    return value != 0 if needed is None else value == needed


def _dimension(info: KnobInfo, text: str | None) -> Dimension:
    default = _plain(info.default)
    if info.type == "choice":
        words = tuple(info.choices) if text is None else tuple(text.split(","))
        for word in words:
            _value(info, word)
        return Dimension(info.name, default, words)
    if info.type == "bool":
        return Dimension(info.name, default, (0, 1))
    zero_is_special = info.name in _ZERO_IS_SPECIAL or (info.name not in _RANGES and info.min == 0)
    if text is not None:
        low, high = _range(info, text)
        zero = low == 0 and (zero_is_special or high > _WIDE)
        low = max(low, int(zero))
    else:
        low, high = _RANGES.get(info.name, (max(info.min, 1), info.max))
        low, high = max(low, info.min), min(high, info.max)
        zero = zero_is_special and info.min == 0
        if isinstance(default, int) and default:
            low, high = min(low, default), max(high, default)
    return Dimension(
        name=info.name,
        default=default,
        low=low,
        high=high,
        log=low > 0 and high >= _WIDE * low,
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
