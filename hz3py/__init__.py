"""hz3: a memory allocator to preload, and the toolkit that measures and tunes it.

`bench` and `tune` measure other processes (see `hz3py.api`); the other names
speak to the allocator that is live in this process (see `hz3py.native`). All
are loaded at first use, so that importing the package costs the command line
nothing.
"""

from __future__ import annotations

# Not from typing, whose import would be a good part of the start-up of `hz3 run`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from hz3py.api import bench, tune
    from hz3py.native import Observation, Stats, counters, knobs, observe, stats, version

__all__ = [
    "Observation",
    "Stats",
    "bench",
    "counters",
    "knobs",
    "observe",
    "stats",
    "tune",
    "version",
]
_OF_API = ("bench", "tune")


def __getattr__(name: str) -> object:
    if name in _OF_API:
        from hz3py import api

        return getattr(api, name)
    if name in __all__:
        from hz3py import native

        return getattr(native, name)
    raise AttributeError(f"module 'hz3py' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
