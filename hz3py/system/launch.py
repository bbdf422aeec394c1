"""Starting a program under an allocator through ``hz3-exec``: environment and command line.

Pure description: nothing here starts a process. ``hz3-exec`` sets the preload, because
``LD_PRELOAD`` cannot hold a path with a space or a colon and has no way to quote one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hz3py.errors import PreloadError
from hz3py.resources import launcher_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hz3py.system.allocators import Allocator

# Variables by which a person's shell could steer an allocator behind the benchmark's back.
LEAKING_PREFIXES = ("MALLOC_", "MIMALLOC_", "TCMALLOC_", "HZ3_", "SCUDO_", "TBB_MALLOC_")
LEAKING_NAMES = ("GLIBC_TUNABLES", "LD_PRELOAD")

# What separates entries inside LD_PRELOAD and LD_LIBRARY_PATH. Neither can be escaped.
_PRELOAD_SEPARATORS = " \t\n:"
_LIBRARY_PATH_SEPARATORS = ":;"


@dataclass(frozen=True)
class Launch:
    """One program to be started under one allocator.

    Attributes:
        argv: The program and its arguments.
        allocator: What provides malloc; its ``path`` is preloaded, ``None`` is the system malloc.
        env: Variables set on top of the cleaned environment.
        affinity: CPU numbers the program may run on; ``None`` leaves them as they are.
        timeout_s: Seconds after which the whole process group is killed; ``None`` waits for ever.
        cwd: Working folder; ``None`` keeps the current one.
    """

    argv: tuple[str, ...]
    allocator: Allocator
    env: Mapping[str, str] = field(default_factory=dict)
    affinity: tuple[int, ...] | None = None
    timeout_s: float | None = None
    cwd: Path | None = None


def is_leaking(name: str) -> bool:
    """Tell whether the variable `name` could change how an allocator behaves."""
    return name in LEAKING_NAMES or name.startswith(LEAKING_PREFIXES)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the variables that steer an allocator."""
    return {name: value for name, value in os.environ.items() if not is_leaking(name)}


def environment(launch: Launch) -> dict[str, str]:
    """Return the environment for `launch`: ours, without leaked allocator variables, plus its own.

    A variable that steers an allocator gets through only if `launch` names it.
    """
    return {**clean_environment(), **launch.env}


def launcher_argv(
    launch: Launch,
    *,
    report_fd: int | None = None,
    report_file: Path | None = None,
    pid_fd: int | None = None,
    trace: bool = True,
) -> list[str]:
    """Return the ``hz3-exec`` command line that starts `launch`.

    The caller passes :func:`environment` as the environment of ``hz3-exec`` itself.

    Args:
        launch: What to start.
        report_fd: Inherited descriptor that receives the JSON report line.
        report_file: File that receives the report line; at most one of the two.
        pid_fd: Inherited descriptor that receives the program's process id once it runs.
        trace: Read the peak at the exit stop; ``False`` leaves ptrace free for a debugger.

    Raises:
        UnfitMachineError: ``hz3-exec`` is not installed.
    """
    argv = [str(launcher_path())]
    if launch.allocator.path is not None:
        argv += ["--preload", str(launch.allocator.path)]
    if launch.affinity is not None:
        argv += ["--affinity", ",".join(str(cpu) for cpu in launch.affinity)]
    if launch.cwd is not None:
        argv += ["--cwd", str(launch.cwd)]
    if launch.timeout_s is not None:
        argv += ["--timeout", f"{launch.timeout_s:g}"]
    if report_fd is not None:
        argv += ["--report-fd", str(report_fd)]
    if report_file is not None:
        argv += ["--report", str(report_file)]
    if pid_fd is not None:
        argv += ["--pid-fd", str(pid_fd)]
    if not trace:
        argv.append("--no-trace")
    return [*argv, "--", *launch.argv]


def preload_variables(path: Path) -> dict[str, str]:
    """Return the variables that preload `path` in a shell, a service file or a container.

    A path with a space or a colon goes as folder into ``LD_LIBRARY_PATH`` and as bare file name
    into ``LD_PRELOAD``.

    Raises:
        PreloadError: No variable can carry this path.
    """
    path = path.absolute()
    if not _has_any(str(path), _PRELOAD_SEPARATORS):
        return {"LD_PRELOAD": str(path)}
    if _has_any(path.name, _PRELOAD_SEPARATORS) or _has_any(
        str(path.parent), _LIBRARY_PATH_SEPARATORS
    ):
        raise PreloadError(
            f"'{path}' cannot be preloaded: the dynamic loader splits the path at its separators",
            f"give it a plain name: ln -s '{path}' /tmp/{path.name.split(':')[-1].split()[-1]}",
        )
    return {"LD_PRELOAD": path.name, "LD_LIBRARY_PATH": str(path.parent)}


def _has_any(text: str, characters: str) -> bool:
    return any(character in text for character in characters)
