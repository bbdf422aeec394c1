"""The allocator that is live in this process: knobs, statistics, counters.

This is the one module that imports the binding `hz3py._core`. Its functions
speak to the preloaded libhz3.so where there is one. Elsewhere the first call
loads the packaged libhz3.so privately, beside the process's own malloc, so that
the knob table can be read and blocks can be allocated from hz3 on purpose.

Any thread may call these functions. Values are snapshots.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from hz3py import resources
from hz3py.errors import PreloadError, UnfitMachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from hz3py import _core
except ImportError as error:
    raise UnfitMachineError(
        f"the native module of hz3py does not load from {files('hz3py')}: {error}",
        "install the package (pip install .) and start Python outside of the source tree",
    ) from error

__all__ = [
    "Block",
    "ClassStats",
    "CounterInfo",
    "KnobInfo",
    "KnobValue",
    "Knobs",
    "Observation",
    "ObservedClass",
    "ObservedSegments",
    "ObservedSpans",
    "Stats",
    "allocate",
    "attach",
    "class_stats",
    "counter_table",
    "counters",
    "good_size",
    "knobs",
    "library_path",
    "observe",
    "owns",
    "serves_malloc",
    "stats",
    "trim",
    "version",
]

Block = _core.Block
ClassStats = _core.ClassStats
CounterInfo = _core.CounterInfo
KnobInfo = _core.KnobInfo
Stats = _core.Stats

KnobValue = int | bool | str


class ObservedClass(TypedDict):
    """One size class in an observation: sizes, numbers of spans and blocks, resident bytes."""

    block_bytes: int
    span_bytes: int
    partial_spans: int
    empty_spans: int
    full_spans: int
    live_blocks: int
    parked_blocks: int
    free_blocks: int
    live_bytes: int
    thread_cache_bytes: int
    stash_bytes: int
    spill_bytes: int
    transfer_bytes: int
    central_bytes: int
    tail_waste_bytes: int
    remote_stash_bytes: int
    page_queue_bytes: int
    waste_bytes: int


class ObservedSpans(TypedDict):
    """Spans of one state in an observation."""

    spans: int
    resident_bytes: int


class ObservedSegments(TypedDict):
    """Segments in an observation; pages are of `page_bytes` each.

    `free_pages_histogram[i]` is the number of segments with at least i times
    `free_pages_bucket` free pages, but fewer than i + 1 times.
    """

    open: int
    used_pages: int
    free_pages: int
    dirty_pages: int
    segment_bytes: int
    page_bytes: int
    free_pages_bucket: int
    free_pages_histogram: list[int]


class Observation(TypedDict):
    """Where resident memory sits; see :func:`observe`.

    `parts` maps a name to resident bytes. All parts add up to `resident_bytes`,
    all but `non_heap` to `heap_resident_bytes`; the kernel's own figures for the
    two stand beside them. `top_waste` names the classes with most idle bytes.
    """

    schema: int
    version: str
    pid: int
    parts: dict[str, int]
    resident_bytes: int
    kernel_resident_bytes: int
    heap_resident_bytes: int
    kernel_heap_resident_bytes: int
    threads: int
    locks_missed: int
    spans: dict[Literal["partial", "empty", "full"], ObservedSpans]
    classes: list[ObservedClass]
    top_waste: list[dict[Literal["block_bytes", "waste_bytes"], int]]
    segments: ObservedSegments
    counters: dict[str, int]
    knobs: dict[str, KnobValue]


def attach() -> Literal["preloaded", "private"]:
    """Make sure that a libhz3.so answers, and say which.

    Returns:
        "preloaded" if the process was started with libhz3.so, "private" if the
        packaged library was loaded beside the process's own malloc.

    Raises:
        PreloadError: the library does not load or is of another version.
        UnfitMachineError: the package was installed without its library.
    """
    attached = _core.attached()
    if attached is not None:
        return attached
    path = resources.library_path()
    try:
        return _core.attach(str(path))
    except RuntimeError as error:
        raise PreloadError(str(error), "`hz3 doctor` shows what is installed") from error


def version() -> str:
    """Return the version of the running library, for example "0.1.0"."""
    attach()
    return _core.version()


def library_path() -> Path:
    """Return the file from which the running library was mapped."""
    attach()
    return Path(_core.library_path())


def serves_malloc() -> bool:
    """Return True if the `malloc` of this process is the running library's."""
    attach()
    return _core.serves_malloc()


def stats() -> Stats:
    """Read the gauges of the allocator's present state."""
    attach()
    return _core.stats()


def class_stats() -> list[ClassStats]:
    """Read the occupation of every size class, smallest class first."""
    attach()
    return _core.class_stats()


def counters() -> dict[str, int]:
    """Read all counters by name. They only grow, and count slow events only."""
    attach()
    return _core.counters()


def counter_table() -> list[CounterInfo]:
    """Return name, unit and meaning of every counter."""
    attach()
    return _core.counter_table()


def observe() -> Observation:
    """Look up where the resident memory of this process sits.

    It asks the kernel for the state of every page of the heap, and stops the slow
    paths of other threads meanwhile: milliseconds per gigabyte.

    Raises:
        MemoryError: the system has no memory for the lookup.
    """
    attach()
    document: Observation = json.loads(_core.observe())
    return document


def allocate(size_bytes: int, *, alignment_bytes: int = 0, zeroed: bool = False) -> Block:
    """Allocate a block of hz3, also where malloc is somebody else's.

    Args:
        size_bytes: at least 0.
        alignment_bytes: 0 for malloc's own alignment (8 up to a size of 8 bytes, 16 above), else a
            power of two.
        zeroed: fill the block with zero bytes.

    Returns:
        A writable buffer. The block is freed with the last reference to it,
        views of it (memoryview, numpy) included.

    Raises:
        ValueError: the alignment is not a power of two.
        MemoryError: the allocator refused.
    """
    attach()
    return _core.allocate(size_bytes, alignment_bytes, zeroed)


def good_size(size_bytes: int) -> int:
    """Return how many bytes malloc(size_bytes) would really provide; 0 if it never can."""
    attach()
    return _core.good_size(size_bytes)


def owns(address: int) -> bool:
    """Return True if `address` is the start of a block that hz3 handed out."""
    attach()
    return _core.owns(address)


def trim() -> int:
    """Give everything idle back to the system and return the number of bytes."""
    attach()
    return _core.trim()


class Knobs(Mapping[str, KnobValue]):
    """The knob table as a mapping from name to present value.

    Values are int (counts and bytes), bool, or str (the name of a choice).
    Setting also accepts text as in the HZ3_* variables, for example "64K".
    A new value takes effect at each thread's next slow event.
    """

    def __getitem__(self, name: str) -> KnobValue:
        """Return the present value of a knob; KeyError names the nearest ones."""
        attach()
        try:
            return _core.knob_get(name)
        except KeyError:
            raise self._unknown(name) from None

    def __setitem__(self, name: str, value: KnobValue) -> None:
        """Set a knob.

        Raises:
            KeyError: there is no such knob; the nearest names are given.
            ValueError: the value is refused; the message says what is allowed.
        """
        attach()
        text = str(int(value)) if isinstance(value, bool) else str(value)
        try:
            _core.knob_set(name, text)
        except KeyError:
            raise self._unknown(name) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of the table."""
        return (info.name for info in self.table())

    def __len__(self) -> int:
        """Return the number of knobs."""
        return len(self.table())

    def table(self) -> list[KnobInfo]:
        """Return what is known of every knob: range, default, unit, meaning."""
        attach()
        return _core.knob_table()

    def info(self, name: str) -> KnobInfo:
        """Return what is known of one knob; KeyError names the nearest ones."""
        for info in self.table():
            if info.name == name:
                return info
        raise self._unknown(name)

    def _unknown(self, name: str) -> KeyError:
        nearest = difflib.get_close_matches(name, list(self), n=3)
        advice = f"did you mean {' or '.join(nearest)}?" if nearest else "see `hz3 knobs`"
        return KeyError(f"no knob is called {name!r}; {advice}")


knobs = Knobs()
