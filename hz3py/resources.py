"""Where the installed parts of hz3 lie: library, launcher and its helpers, workloads, suites.

Everything is found through ``importlib.resources``, which also sees both halves of an editable
install (the source tree and the build's install tree). For work inside a source tree one
developer variable is honoured: ``HZ3_DEV_BUILD=<CMake build folder>`` makes the native parts
come from that folder (``libhz3.so``, ``libhz3-checked.so``, ``hz3-exec``, ``hz3-probe``,
``hz3-cores``, ``workloads/<name>``) and the suites from the source tree it was configured for.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hz3py.errors import UnfitMachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEV_BUILD_VARIABLE = "HZ3_DEV_BUILD"
BUILD_HINT = "install the package: pip install . (in the source tree)"


def library_path() -> Path:
    """Return the path of ``libhz3.so``.

    Raises:
        UnfitMachineError: The library was not built or not installed.
        UsageError: ``HZ3_DEV_BUILD`` does not name a folder.
    """
    return _native("libhz3.so", "lib")


def checked_library_path() -> Path:
    """Return the path of ``libhz3-checked.so``, the build that finds bad frees at once.

    Raises:
        UnfitMachineError: The library was not built or not installed.
        UsageError: ``HZ3_DEV_BUILD`` does not name a folder.
    """
    return _native("libhz3-checked.so", "lib")


def launcher_path() -> Path:
    """Return the path of ``hz3-exec``.

    Raises:
        UnfitMachineError: The launcher was not built or not installed.
        UsageError: ``HZ3_DEV_BUILD`` does not name a folder.
    """
    return _native("hz3-exec", "bin")


def probe_path() -> Path:
    """Return the path of ``hz3-probe``.

    Raises:
        UnfitMachineError: The probe was not built or not installed.
        UsageError: ``HZ3_DEV_BUILD`` does not name a folder.
    """
    return _native("hz3-probe", "bin")


def cores_path() -> Path:
    """Return the path of ``hz3-cores``.

    Raises:
        UnfitMachineError: The program was not built or not installed.
        UsageError: ``HZ3_DEV_BUILD`` does not name a folder.
    """
    return _native("hz3-cores", "bin")


def workload_path(name: str) -> Path:
    """Return the path of the workload program `name`.

    Raises:
        UsageError: There is no such workload.
        UnfitMachineError: No workload is installed at all.
    """
    names = workload_names()
    if name not in names:
        if not names:
            raise UnfitMachineError("no workload programs are installed", BUILD_HINT)
        raise UsageError(f"unknown workload '{name}'", f"workloads: {', '.join(names)}")
    return _workload_folder() / name


def workload_names() -> list[str]:
    """Return the names of the installed workload programs, sorted."""
    return sorted(entry.name for entry in _entries(_workload_folder()) if _is_program(entry))


def suite_paths() -> list[Path]:
    """Return the suite descriptions (``*.toml``), sorted by name."""
    build = _dev_build()
    source = _dev_source(build) if build is not None else None
    folder = _packaged("suites") if source is None else source / "benchmarks" / "suites"
    return sorted(entry for entry in _entries(folder) if entry.suffix == ".toml")


def experiment_paths() -> list[Path]:
    """Return the descriptions of experiments (``*.toml``), sorted by name."""
    build = _dev_build()
    source = _dev_source(build) if build is not None else None
    folder = _packaged("experiments") if source is None else source / "benchmarks" / "experiments"
    return sorted(entry for entry in _entries(folder) if entry.suffix == ".toml")


def _native(name: str, installed_folder: str) -> Path:
    """Find one native part, in the developer's build folder or in the package."""
    build = _dev_build()
    path = _packaged(installed_folder, name) if build is None else build / name
    if path.is_file():
        return path
    hint = BUILD_HINT if build is None else f"build it: cmake --build '{build}'"
    raise UnfitMachineError(f"{name} is not installed (looked for {path})", hint)


def _workload_folder() -> Path:
    build = _dev_build()
    return _packaged("bin", "workloads") if build is None else build / "workloads"


def _packaged(*parts: str) -> Path:
    """Join `parts` onto the installed package.

    One part at a time: the merged view of an editable install looks up one name per step.
    """
    node = files("hz3py")
    for part in parts:
        node = node.joinpath(part)
    return Path(str(node))


def _dev_build() -> Path | None:
    value = os.environ.get(DEV_BUILD_VARIABLE)
    if not value:
        return None
    build = Path(value)
    if not build.is_dir():
        raise UsageError(
            f"{DEV_BUILD_VARIABLE} names '{value}', which is not a folder",
            f"unset {DEV_BUILD_VARIABLE}, or point it at a CMake build folder",
        )
    return build.absolute()


def _dev_source(build: Path) -> Path | None:
    """Read from CMake's cache which source tree `build` was configured for."""
    key = "CMAKE_HOME_DIRECTORY:INTERNAL="
    try:
        lines = (build / "CMakeCache.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    source = next((Path(line[len(key) :]) for line in lines if line.startswith(key)), None)
    return source if source is not None and (source / "benchmarks" / "suites").is_dir() else None


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK) and not path.suffix
