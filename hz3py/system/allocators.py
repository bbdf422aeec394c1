"""Which allocators there are: hz3, the system malloc, the packaged peers and the user's own."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hz3py.errors import PreloadError, UnfitMachineError, UsageError
from hz3py.resources import checked_library_path, library_path
from hz3py.system.elf import NotElfError, host_machine, read_elf
from hz3py.system.launch import preload_variables
from hz3py.system.peers import PEERS, Peer, install_line, locate
from hz3py.system.probe import Probe, run_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# Our own: its two builds.
BUNDLED: dict[str, Callable[[], Path]] = {
    "hz3": library_path,
    "hz3-checked": checked_library_path,
}
DEFAULT_BENCH_SET = ("hz3", "system", "tcmalloc", "mimalloc", "jemalloc")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Allocator:
    """One provider of malloc.

    Attributes:
        name: Our word for it, or the user's.
        path: The library to preload; ``None`` for the system malloc and for a missing one.
        version: In the allocator's own words; empty if it does not tell.
        installed: Whether it can be used now.
        install_hint: What brings a missing one; empty for one that is there.
        origin: Where it was found: "bundled", "system", "package", "ldconfig", "conda", "brew",
            "nix", "user"; empty for a missing one.
    """

    name: str
    path: Path | None
    version: str
    installed: bool
    install_hint: str
    origin: str


def known_names() -> list[str]:
    """Return the names that need no path, in the order of every listing."""
    return [*BUNDLED, "system", *(peer.name for peer in PEERS)]


def discover(extra: Mapping[str, Path] | None = None) -> list[Allocator]:
    """Look for every allocator we know and check those the user brings.

    Args:
        extra: The user's own: name to library. A known name means the user's library instead.

    Returns:
        hz3, hz3-checked, system, tcmalloc, mimalloc, jemalloc, tbbmalloc, scudo, then the
        user's; those that are not there too, with the line that installs them.

    Raises:
        PreloadError: One of the user's libraries cannot be preloaded.
    """
    own = extra or {}
    names = [*known_names(), *(name for name in own if name not in known_names())]
    return [_look_up(name, own) for name in names]


def find(names: Iterable[str], extra: Mapping[str, Path] | None = None) -> list[Allocator]:
    """Look up the allocators `names`, in that order and each once.

    Looks only for those, so it is cheaper than :func:`discover`. A known one that is missing
    comes back with ``installed`` false.

    Raises:
        UsageError: A name is unknown.
        PreloadError: One of the user's libraries cannot be preloaded.
    """
    own = extra or {}
    return [_look_up(name, own) for name in dict.fromkeys(names)]


def parse_extra(options: Sequence[str]) -> dict[str, Path]:
    """Read ``name=path`` options.

    Raises:
        UsageError: An option has another form, or a name comes twice.
    """
    own: dict[str, Path] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals or not path or not _NAME.fullmatch(name):
            raise UsageError(
                f"'{option}' does not name an allocator",
                "write name=path, for example mine=/opt/lib/libmine.so",
            )
        if name in own:
            raise UsageError(f"the allocator name '{name}' is given twice", "choose another name")
        own[name] = Path(os.path.expanduser(path)).absolute()
    return own


def check_library(path: Path) -> None:
    """Make sure that `path` can be preloaded and then provides malloc.

    Raises:
        PreloadError: It cannot; the message says why.
        UnfitMachineError: The launcher that tries it is not installed.
    """
    _check_file(path)
    preload_variables(path)
    probe = _probe(path)
    if probe.complaint:
        raise PreloadError(
            f"'{path}' does not load: {probe.complaint}",
            f"see what it needs: ldd '{path}'",
        )
    if not is_object(probe.malloc_object, path):
        raise PreloadError(
            f"'{path}' was preloaded, yet malloc comes from '{probe.malloc_object}'",
            "name the library that itself defines malloc",
        )


def is_object(reported: str, path: Path) -> bool:
    """Tell whether the mapped object `reported` is the file `path` (links resolved)."""
    return bool(reported) and os.path.realpath(reported) == os.path.realpath(path)


def _look_up(name: str, own: Mapping[str, Path]) -> Allocator:
    if name in own:
        check_library(own[name])
        version = _version(own[name])
        return Allocator(name, own[name], version, True, "", "user")
    if name == "system":
        return Allocator(name, None, _system_version(), True, "", "system")
    if name in BUNDLED:
        return _bundled(name)
    peer = next((peer for peer in PEERS if peer.name == name), None)
    if peer is None:
        known = [*known_names(), *own]
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean '{close[0]}'? " if close else ""
        raise UsageError(
            f"unknown allocator '{name}'",
            f"{guess}known: {', '.join(known)}; any other library: --allocator NAME=PATH",
        )
    return _packaged(peer)


def _bundled(name: str) -> Allocator:
    try:
        path = BUNDLED[name]()
    except UnfitMachineError as error:
        return Allocator(name, None, "", False, error.hint, "")
    return _usable(name, path, "bundled")


def _packaged(peer: Peer) -> Allocator:
    place = locate(peer)
    if place is None:
        return Allocator(peer.name, None, "", False, install_line([peer.name]), "")
    return _usable(peer.name, *place)


def _usable(name: str, path: Path, origin: str) -> Allocator:
    """Describe a library that was found; one that does not load counts as missing."""
    try:
        check_library(path)
    except UnfitMachineError:
        # Without the launcher nothing can be tried; the listing still names what is there.
        return Allocator(name, path, _version_from_name(path), True, "", origin)
    except PreloadError as error:
        return Allocator(name, path, "", False, str(error), origin)
    return Allocator(name, path, _version(path), True, "", origin)


def _check_file(path: Path) -> None:
    """Check what can be seen without running any code of the library."""
    if not path.exists():
        raise UsageError(f"'{path}' does not exist", "check the path")
    if not path.is_file():
        raise PreloadError(f"'{path}' is not a file", "name the .so file itself")
    try:
        elf = read_elf(path)
    except NotElfError as error:
        raise PreloadError(
            f"'{path}' is not a shared library: {error}",
            "name the .so file itself, not a linker script or an archive",
        ) from error
    except OSError as error:
        raise PreloadError(
            f"'{path}' cannot be read: {error.strerror}", "check its permissions"
        ) from error
    if elf.machine != host_machine():
        raise PreloadError(
            f"'{path}' is built for {elf.machine}, and this machine is {host_machine()}",
            f"install or build the library for {host_machine()}",
        )
    if not elf.is_shared:
        raise PreloadError(f"'{path}' is not a shared library", "build it with -shared -fPIC")
    if elf.defines is not None and "malloc" not in elf.defines:
        raise PreloadError(
            f"'{path}' does not define malloc, so preloading it changes nothing",
            "name the library that itself defines malloc",
        )


def _probe(path: Path) -> Probe:
    state = path.stat()
    return _probe_once(path, state.st_mtime_ns, state.st_size)


@cache
def _probe_once(path: Path, _mtime_ns: int, _size_bytes: int) -> Probe:
    """Probe each build of a library once per process."""
    return run_probe(path)


def _version(path: Path) -> str:
    return _probe(path).version or _version_from_name(path)


def _version_from_name(path: Path) -> str:
    """Take the version from the file name, or from the compiler folder a runtime lies in."""
    real = os.path.realpath(path)
    found = re.search(r"\.so\.([\d.]+)$", real) or re.search(r"/clang/(\d[\d.]*)/", real)
    return found.group(1) if found else ""


def _system_version() -> str:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
    except (ValueError, OSError):
        return ""


__all__ = [
    "BUNDLED",
    "DEFAULT_BENCH_SET",
    "Allocator",
    "check_library",
    "discover",
    "find",
    "install_line",
    "is_object",
    "known_names",
    "parse_extra",
]
