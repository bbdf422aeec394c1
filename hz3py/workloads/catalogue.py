"""The packaged workload programs: which there are, and what part of an allocator each one strains.

What a program does and which arguments it takes is written once, in the program; `describe` asks
it (`PROGRAM --help`).
"""

from __future__ import annotations

import difflib
import re
import subprocess
from dataclasses import dataclass

from hz3py import resources
from hz3py.errors import UnfitMachineError, UsageError

TOUCHES = ("none", "first", "ends", "full")
"""What the program writes into every block: nothing, the first byte, also the last one, all."""

WRITES_ARE_THE_WORK = frozenset({"cache_scratch", "cache_thrash"})
"""Programs that would do nothing if they did not write into their blocks."""

STRAINS = {
    "random_mixed": "the hit path of malloc and free, and the map from size to class",
    "mt_remote": "frees by other threads, owner lookup, memory that travels back",
    "mstress": "mixed sizes up to megabytes, heaps of ended threads, memory given back",
    "larson": "blocks freed by another thread than their own, hand-over between threads",
    "xmalloc_test": "one-way flow of blocks between threads, batches of 32 KiB",
    "rptest": "medium sizes, aligned blocks, groups of blocks freed by another thread",
    "cache_scratch": "passive false sharing: one cache line for two threads after a remote free",
    "cache_thrash": "active false sharing: one cache line for small blocks of two threads",
    "malloc_large": "mappings kept or given back, page faults, huge pages",
    "alloc_test": "skewed reuse, locality, the smallest classes",
    "ageing": "fragmentation after long server traffic",
    "burst_idle": "memory given back while a program rests",
    "churn": "threads that come and go, and the memory they leave",
    "glibc_simple": "free lists longer than a thread's cache",
    "glibc_thread": "small blocks that stay with their thread",
    "mleak": "caches of ended threads",
    "realloc_growth": "realloc in place, by remapping, and by copying",
}
"""The programs, the classic ones first, and what decides their result."""

_ARGUMENT = re.compile(
    r"  --(?P<name>[\w-]+)(?:, -\S+)* +(?P<meaning>\S.*?)"
    r"(?: \((?P<allowed>[^()]*); default (?P<default>[^()]*)\))?"
)
_HELP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Argument:
    """One argument of a workload program.

    Attributes:
        name: Its long name.
        meaning: What it is, with its unit.
        allowed: Its range or its words; empty for a switch.
        default: What the program uses without it.
        position: Its place among the positional arguments, from 0; None for a pure option.
    """

    name: str
    meaning: str
    allowed: str
    default: str
    position: int | None


@dataclass(frozen=True)
class Workload:
    """What a workload program says of itself.

    Attributes:
        name: The name of the program.
        summary: What it does, and what it counts as an operation.
        strains: What part of an allocator decides its result.
        arguments: Positional arguments in order, then options.
    """

    name: str
    summary: str
    strains: str
    arguments: tuple[Argument, ...]

    @property
    def usage(self) -> str:
        """The positional arguments as a command line."""
        named = [item.name for item in self.arguments if item.position is not None]
        return " ".join([self.name, *(f"[{name}]" for name in named), "[options]"])


def check(name: str) -> str:
    """Return the name if there is such a workload.

    Raises:
        UsageError: There is none; the nearest one is named.
    """
    if name in STRAINS:
        return name
    near = difflib.get_close_matches(name, STRAINS, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"unknown workload {name!r}", f"{guess}see `hz3 workloads`")


def describe(name: str) -> Workload:
    """Ask a workload program what it does and which arguments it takes.

    Raises:
        UsageError: There is no such workload.
        UnfitMachineError: The program is not installed, or does not run.
    """
    path = resources.workload_path(check(name))
    try:
        text = subprocess.run(
            [str(path), "--help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_HELP_TIMEOUT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise UnfitMachineError(
            f"the workload program {path} does not run: {error}", resources.BUILD_HINT
        ) from error
    return parse_help(name, text)


def parse_help(name: str, text: str) -> Workload:
    """Read the --help text of a workload program.

    Args:
        name: The program.
        text: What it printed: a usage line, a sentence, and one line per argument.
    """
    usage, _, rest = text.partition("\n")
    summary = rest.partition("\n")[0]
    positional = re.findall(r"\[([^\]]+)\]", usage)
    matches = map(_ARGUMENT.fullmatch, rest.splitlines())
    found = [match for match in matches if match is not None and match["name"] != "help"]
    arguments = tuple(_argument(match, positional) for match in found)
    return Workload(name, summary, STRAINS[name], arguments)


def _argument(match: re.Match[str], positional: list[str]) -> Argument:
    name = match["name"]
    return Argument(
        name=name,
        meaning=match["meaning"],
        allowed=match["allowed"] or "",
        default=match["default"] or "off",
        position=positional.index(name) if name in positional else None,
    )
