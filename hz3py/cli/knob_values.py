"""The knob table for the command line, and NAME=VALUE options turned into HZ3_* variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hz3py.errors import UnfitMachineError, UsageError

if TYPE_CHECKING:
    from hz3py.native import KnobInfo


def knob_table() -> list[KnobInfo]:
    """Return what is known of every knob.

    Raises:
        UnfitMachineError: The native module or the library is not installed, or does not load.
    """
    try:
        from hz3py import native

        return native.knobs.table()
    except (ImportError, RuntimeError) as error:
        raise UnfitMachineError(f"the knob table cannot be read: {error}") from error


def knob(name: str) -> KnobInfo:
    """Return what is known of one knob.

    Raises:
        UsageError: There is no such knob; the nearest one is named.
        UnfitMachineError: The table cannot be read.
    """
    table = knob_table()
    for info in table:
        if name in (info.name, info.env):
            return info
    import difflib

    near = difflib.get_close_matches(name, [info.name for info in table], n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"unknown knob {name!r}", f"{guess}see `hz3 knobs`")


def variables(options: Sequence[str]) -> dict[str, str]:
    """Turn NAME=VALUE options into environment variables; the allocator itself judges the values.

    Raises:
        UsageError: An option has another form, the knob is unknown, or the value is refused.
        UnfitMachineError: The table cannot be read.
    """
    result: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise UsageError(f"{option!r} sets no knob", "write NAME=VALUE, for example shards=8")
        info = knob(name)
        refusal = _refusal_at_start(info, value) if info.at_start else _refusal(info, value)
        if refusal:
            raise UsageError(f"knob {info.name}: {refusal}", f"see `hz3 knobs {info.name}`")
        result[info.env] = value
    return result


def variables_with(profile: str | None, options: Sequence[str]) -> dict[str, str]:
    """Return the variables of a profile, and of NAME=VALUE options that go before it.

    Raises:
        UsageError: The profile cannot be read, or a knob or value in it or in an option is refused.
        UnfitMachineError: The table cannot be read.
    """
    settings: list[str] = []
    if profile is not None:
        from hz3py.tuning.profile import read

        settings = read(profile).settings()
    return variables([*settings, *options])


def _refusal(info: KnobInfo, value: str) -> str:
    """Try the value on the private instance in this process."""
    from hz3py import native

    try:
        native.knobs[info.name] = value
    except ValueError as error:
        return str(error).removeprefix(f"{info.name}: ")
    return ""


def _refusal_at_start(info: KnobInfo, value: str) -> str:
    """Try the value on a small program: the library complains on stderr about what it refuses."""
    from hz3py.system.probe import complaints_about

    return next(iter(complaints_about({info.env: value})), "")
