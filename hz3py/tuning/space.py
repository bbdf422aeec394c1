"""The search space: the knobs that vary, their values, and when a knob means anything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from hz3py.tuning.ranges import NEEDS, Value, allows

Knobs: TypeAlias = "Mapping[str, Value]"

_ZERO_PARAMETER = "{}=0"


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

    def holds(self, value: Value) -> bool:
        """Tell whether the value may be proposed."""
        if self.choices:
            return value in self.choices
        return self.low <= int(value) <= self.high or (self.zero and value == 0)

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

    def parameters(self, knobs: Knobs) -> dict[str, Any]:
        """Return the proposal of a configuration; what it leaves out has its default."""
        chosen: dict[str, Value] = {**self.fixed}
        found: dict[str, Any] = {}
        for dimension in self.dimensions:
            if self._is_read(dimension.name, chosen):
                chosen[dimension.name] = knobs.get(dimension.name, dimension.default)
                found.update(dimension.parameters(chosen[dimension.name]))
        return found

    def holds(self, knobs: Knobs) -> bool:
        """Tell whether a configuration may be proposed, with the defaults of what it leaves out."""
        return {each.name for each in self.dimensions} >= set(knobs) and all(
            each.holds(knobs.get(each.name, each.default)) for each in self.dimensions
        )

    def values(self, knobs: Knobs) -> dict[str, Value]:
        """Return the value of every varied knob; those that are not read are left out."""
        merged = {**self.defaults, **knobs}
        names = (dimension.name for dimension in self.dimensions)
        return {name: merged[name] for name in names if self._is_read(name, merged)}

    def _is_read(self, name: str, knobs: Knobs) -> bool:
        parent, needed = NEEDS.get(name, ("", None))
        if parent not in self.defaults:
            return True
        return allows(knobs.get(parent, self.defaults[parent]), needed)


def key_of(knobs: Knobs) -> str:
    """Return a text that is the same for equal configurations."""
    return json.dumps(dict(sorted(knobs.items())), separators=(",", ":"))


def described(knobs: Knobs) -> str:
    """Write a configuration as words for a person."""
    return " ".join(f"{name}={value}" for name, value in knobs.items()) or "the defaults"
