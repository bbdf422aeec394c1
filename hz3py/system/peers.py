"""The allocators hz3 is compared with: their file names, their packages, where they may lie."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hz3py.system.elf import NotElfError, host_machine, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Peer:
    """An allocator that distributions package.

    Attributes:
        name: Our word for it.
        files: File names to look for, the preferred one first.
        apt, dnf, pacman: The package that brings it, per package manager.
    """

    name: str
    files: tuple[str, ...]
    apt: str
    dnf: str
    pacman: str


# The first three are in the default set of a benchmark; the order is that of every listing.
PEERS = (
    Peer(
        "tcmalloc",
        ("libtcmalloc_minimal.so.4", "libtcmalloc_minimal.so", "libtcmalloc.so.4"),
        "libtcmalloc-minimal4",
        "gperftools-libs",
        "gperftools",
    ),
    Peer(
        "mimalloc",
        ("libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so.2.0", "libmimalloc.so"),
        "libmimalloc2.0",
        "mimalloc",
        "mimalloc",
    ),
    Peer(
        "jemalloc",
        ("libjemalloc.so.2", "libjemalloc.so"),
        "libjemalloc2",
        "jemalloc",
        "jemalloc",
    ),
    Peer(
        "tbbmalloc",
        ("libtbbmalloc_proxy.so.2", "libtbbmalloc_proxy.so"),
        "libtbbmalloc2",
        "tbb",
        "onetbb",
    ),
    Peer(
        "scudo",
        (f"libclang_rt.scudo_standalone-{host_machine()}.so", "libclang_rt.scudo_standalone.so"),
        "libclang-rt-14-dev",
        "compiler-rt",
        "compiler-rt",
    ),
)

# Compiler runtimes lie outside of the library path, in a folder per compiler version.
_RUNTIME_FOLDERS = (
    ("/usr/lib", "llvm-*/lib/clang/*/lib/*"),
    ("/usr/lib", "clang/*/lib/*"),
    ("/usr/lib64", "clang/*/lib/*"),
)


def locate(peer: Peer) -> tuple[Path, str] | None:
    """Find the library of `peer`, and say which kind of place it was found in.

    Files of another architecture are passed over.
    """
    for folder, origin in _folders():
        for file in peer.files:
            if _is_ours(folder / file):
                return folder / file, origin
    for file in peer.files:
        path = _loader_cache().get(file)
        if path is not None and _is_ours(path):
            return path, "ldconfig"
    return None


def install_line(names: Iterable[str]) -> str:
    """Return the one command that brings the peers `names`, for this distribution.

    Names that are not peers are left out; without any the line is empty.
    """
    wanted = [peer for peer in PEERS if peer.name in set(names)]
    if not wanted:
        return ""
    if shutil.which("apt-get") is None and shutil.which("dnf"):
        return "dnf install " + " ".join(peer.dnf for peer in wanted)
    if shutil.which("apt-get") is None and shutil.which("pacman"):
        return "pacman -S " + " ".join(peer.pacman for peer in wanted)
    return "apt-get install " + " ".join(peer.apt for peer in wanted)


def _folders() -> Iterator[tuple[Path, str]]:
    """Yield the folders that may hold a peer, with their origin, the preferred ones first."""
    triplet = f"{host_machine()}-linux-gnu"
    for folder in (
        f"/usr/lib/{triplet}",
        f"/lib/{triplet}",
        "/usr/lib64",
        "/usr/lib",
        f"/usr/local/lib/{triplet}",
        "/usr/local/lib64",
        "/usr/local/lib",
    ):
        yield Path(folder), "package"
    for top, pattern in _RUNTIME_FOLDERS:
        for found in sorted(Path(top).glob(pattern), key=_version_key, reverse=True):
            yield found, "package"
    if conda := os.environ.get("CONDA_PREFIX"):
        yield Path(conda, "lib"), "conda"
    yield Path(os.environ.get("HOMEBREW_PREFIX", "/home/linuxbrew/.linuxbrew"), "lib"), "brew"
    yield Path(os.path.expanduser("~/.nix-profile/lib")), "nix"
    yield Path("/run/current-system/sw/lib"), "nix"
    yield Path("/nix/var/nix/profiles/default/lib"), "nix"


def _version_key(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _is_ours(path: Path) -> bool:
    try:
        return path.is_file() and read_elf(path).machine == host_machine()
    except (NotElfError, OSError):
        return False


@cache
def _loader_cache() -> dict[str, Path]:
    """Read the dynamic loader's cache: file name to path; empty where ``ldconfig`` is missing."""
    program = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if program is None:
        return {}
    try:
        listing = subprocess.run(
            [program, "-p"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[str, Path] = {}
    for file, path in re.findall(r"^\s+(\S+) \(.*\) => (.+)$", listing, re.MULTILINE):
        found.setdefault(file, Path(path))
    return found
