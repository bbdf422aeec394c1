"""Asking a small process under a preload: who provides malloc, and what hz3 says of variables."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hz3py.resources import launcher_path, library_path, probe_path
from hz3py.system.launch import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIMEOUT_S = 20.0
_OBSERVE_FILE_VARIABLE = "HZ3_OBSERVE_FILE"


@dataclass(frozen=True)
class Probe:
    """What a process under the preload said about itself.

    Attributes:
        malloc_object: The object that provides ``malloc``; empty if the process died.
        free_object: The object that provides ``free``.
        version: The provider's version in its own words; empty if it has none.
        complaint: Why the preload did not work; empty if the process ran.
    """

    malloc_object: str
    free_object: str
    version: str
    complaint: str


def run_probe(preload: Path | None) -> Probe:
    """Run ``hz3-probe`` under `preload` (``None``: the system malloc); takes some milliseconds.

    Raises:
        UnfitMachineError: The launcher or the probe is not installed.
    """
    process = _run(preload, {})
    if process.returncode != 0:
        return Probe("", "", "", _why(process.stderr, process.returncode))
    try:
        told = json.loads(process.stdout)
        return Probe(
            malloc_object=str(told["malloc_object"]),
            free_object=str(told["free_object"]),
            version=str(told["version"]),
            complaint=_loader_complaint(process.stderr),
        )
    except (ValueError, KeyError, TypeError):
        return Probe("", "", "", f"the probe printed '{process.stdout.strip()[:80]}'")


def complaints_about(variables: Mapping[str, str]) -> list[str]:
    """Return what hz3 says at its start of HZ3_* variables: a line for each that it does not take.

    Those are refused values and, three at most, names that are no knobs. Takes some milliseconds;
    nothing is written where ``HZ3_OBSERVE_FILE`` points.

    Args:
        variables: Name to text.

    Raises:
        UnfitMachineError: The library, the launcher or the probe is not installed.
    """
    tried = {name: text for name, text in variables.items() if name != _OBSERVE_FILE_VARIABLE}
    lines = _run(library_path(), tried).stderr.splitlines()
    mark = "hz3: "
    starts = tuple(f"{mark}{name}{end}" for name in tried for end in "= ")
    return [line.removeprefix(mark) for line in lines if line.startswith(starts)]


def _run(preload: Path | None, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the probe under `preload` with `variables` and without others that steer an allocator."""
    preload_options = [] if preload is None else ["--preload", str(preload)]
    return subprocess.run(
        [
            str(launcher_path()),
            *preload_options,
            "--timeout",
            f"{_TIMEOUT_S:g}",
            "--",
            str(probe_path()),
        ],
        env={**clean_environment(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _loader_complaint(stderr: str) -> str:
    """Pick the reason out of the dynamic loader's message, for example a missing dependency."""
    found = re.search(
        r"cannot be preloaded \((.*)\)|error while loading shared libraries: (.*)", stderr
    )
    return (found.group(1) or found.group(2)) if found else ""


def _why(stderr: str, code: int) -> str:
    """Say in one line why the probe did not finish."""
    if complaint := _loader_complaint(stderr):
        return complaint
    last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
    death = f"was killed by signal {code - 128}" if code > 128 else f"ended with code {code}"
    return f"a small test program under it {death}: {last[0]}"
