"""What is inside the installed package: the library as the dynamic linker sees it.

Read with readelf, from the installed files. `tests/native/exports.txt` is a golden file: a symbol
that comes or goes must show up in a review.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hz3py import native, resources

EXPORTS = Path(__file__).resolve().parents[1] / "native" / "exports.txt"
TLS_BYTES = 16


@pytest.fixture(params=[resources.library_path, resources.checked_library_path])
def library(request: pytest.FixtureRequest) -> Path:
    """Return each of the two builds: what holds for one holds for the other."""
    path: Path = request.param()
    return path


def readelf(path: Path, *options: str) -> str:
    return subprocess.run(
        ["readelf", "--wide", *options, str(path)],
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def dynamic_values(library: Path, tag: str) -> list[str]:
    return re.findall(rf"\({tag}\)\s+(.*)", readelf(library, "--dynamic"))


def exported_symbols(library: Path) -> list[str]:
    # Columns: number, value, size, type, bind, visibility, section, name.
    rows = [line.split() for line in readelf(library, "--dyn-syms").splitlines()]
    return sorted(
        row[7].partition("@")[0]
        for row in rows
        if len(row) >= 8 and row[4] in {"GLOBAL", "WEAK"} and row[6] != "UND"
    )


def constructors(library: Path) -> list[str]:
    """Name the functions that the linker runs at load, without the compiler's own one."""
    section = re.search(
        r"\.init_array\s+INIT_ARRAY\s+(\w+) \w+ (\w+)", readelf(library, "--sections")
    )
    if section is None:
        return []
    start, size = (int(text, 16) for text in section.groups())
    relocations = re.findall(
        r"^(\w+)\s+\w+\s+R_\w+_RELATIVE\s+(\w+)", readelf(library, "--relocs"), re.M
    )
    targets = [int(to, 16) for at, to in relocations if start <= int(at, 16) < start + size]
    symbols = re.findall(
        r"^\s*\d+: (\w+)\s+\d+ FUNC\s+.*\s(\S+)$", readelf(library, "--symbols"), re.M
    )
    names = {int(address, 16): name for address, name in symbols}
    assert len(targets) * 8 == size
    return [name for t in targets if (name := names.get(t, hex(t))) != "frame_dummy"]


def test_libc_is_the_only_needed_library(library: Path) -> None:
    needed = {value.partition("[")[2].rstrip("]") for value in dynamic_values(library, "NEEDED")}
    assert {name for name in needed if not name.startswith("ld-linux")} == {"libc.so.6"}


def test_soname_is_plain(library: Path) -> None:
    assert dynamic_values(library, "SONAME") == [f"Library soname: [{library.name}]"]


def test_thread_local_storage_fits_the_static_surplus(library: Path) -> None:
    segment = re.search(r"^\s*TLS\s+\w+ \w+ \w+ \w+ (\w+)", readelf(library, "--segments"), re.M)
    assert segment is not None
    assert int(segment.group(1), 16) <= TLS_BYTES


def test_thread_local_access_is_initial_exec(library: Path) -> None:
    relocations = readelf(library, "--relocs")
    assert "TPOFF64" in relocations or "TLS_TPREL" in relocations
    assert not re.search(r"DTPMOD|TLSDESC", relocations)


def test_one_constructor_at_most(library: Path) -> None:
    assert len(constructors(library)) <= 1, constructors(library)


def test_relocations_are_read_only_and_done_at_load(library: Path) -> None:
    flags = " ".join(dynamic_values(library, "FLAGS") + dynamic_values(library, "FLAGS_1"))
    assert "BIND_NOW" in flags
    assert "GNU_RELRO" in readelf(library, "--segments")
    assert dynamic_values(library, "TEXTREL") == []
    assert "TEXTREL" not in flags


def test_the_library_cannot_be_unloaded(library: Path) -> None:
    assert "NODELETE" in " ".join(dynamic_values(library, "FLAGS_1"))


def test_no_memory_is_writable_and_executable(library: Path) -> None:
    loads = re.findall(
        r"^\s*(?:LOAD|GNU_STACK)\s+.*\s([RWE ]{3})\s+0x\w+$", readelf(library, "--segments"), re.M
    )
    assert loads
    assert [flags for flags in loads if "W" in flags and "E" in flags] == []


def test_exported_symbols_are_the_reviewed_ones(library: Path) -> None:
    now = "\n".join(exported_symbols(library)) + "\n"
    assert now == EXPORTS.read_text(encoding="utf-8"), (
        f"exports changed; if that is meant, write them to {EXPORTS}:\n{now}"
    )


def test_every_public_function_is_exported(library: Path) -> None:
    header = library.parents[1] / "include" / "hz3" / "hz3.h"
    declared = set(re.findall(r"\b(hz3_\w+)\(", header.read_text(encoding="utf-8")))
    assert declared
    assert declared <= set(exported_symbols(library))


# What a hit may cost, return included. Loads, stores and branches that are not taken; no stack.
HIT_PATHS = {
    "malloc": 18,
    "_Znwm": 18,
    "free": 26,
    "_ZdlPv": 26,
    "_ZdlPvm": 26,
}


def straight_line(function: str) -> list[str]:
    """Return the instructions of a function of libhz3.so down to its first return."""
    text = subprocess.run(
        ["objdump", f"--disassemble={function}", "--no-show-raw-insn", resources.library_path()],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.findall(r"^\s+[0-9a-f]+:\s+(\S.*)$", text, re.M)
    return found[: 1 + next(i for i, line in enumerate(found) if line.startswith("ret"))]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the bounds are those of x86-64")
@pytest.mark.parametrize(("function", "most"), HIT_PATHS.items())
def test_a_hit_costs_few_instructions_and_no_stack(function: str, most: int) -> None:
    hit = straight_line(function)
    assert len(hit) <= most, "\n".join(hit)
    costly = ("push", "call", "lock", "xchg", "rep", "div", "idiv", "mfence")
    assert [line for line in hit if line.startswith(costly)] == []


def test_versions_agree() -> None:
    assert native.version() == metadata.version("hz3")


def test_native_parts_are_installed() -> None:
    assert resources.launcher_path().is_file()
    assert resources.probe_path().is_file()
    assert resources.cores_path().is_file()
    assert "random_mixed" in resources.workload_names()
    assert "quick.toml" in {path.name for path in resources.suite_paths()}


def test_the_launcher_needs_no_library() -> None:
    assert "(NEEDED)" not in readelf(resources.launcher_path(), "--dynamic")


def test_the_binding_does_not_contain_the_allocator() -> None:
    binding = sys.modules[native.Stats.__module__].__file__
    assert binding is not None
    assert "hz3_malloc" not in readelf(Path(binding), "--dyn-syms")
    assert "libhz3" not in readelf(Path(binding), "--dynamic")
