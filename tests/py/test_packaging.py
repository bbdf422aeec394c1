"""What is inside the installed package: the library as the dynamic linker sees it, and the stubs.

Read with readelf, from the installed files. `tests/native/exports.txt` is a golden file: a symbol
that comes or goes must show up in a review.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from hz3py import native, resources

EXPORTS = Path(__file__).resolve().parents[1] / "native" / "exports.txt"
TLS_BYTES = 16

# What stubtest reports of any pybind11 class: its metaclass, an __init__ that only refuses, and a
# buffer protocol that shows as __buffer__ from Python 3.12 on.
STUB_EXCEPTIONS = r"""
hz3py\._core\.(Block|ClassStats|CounterInfo|KnobInfo|Stats)(\.__init__)?
hz3py\._core\.Block\.__buffer__
"""


def readelf(*options: str, path: Path | None = None) -> str:
    return subprocess.run(
        ["readelf", "--wide", *options, str(path or resources.library_path())],
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def dynamic_values(tag: str) -> list[str]:
    return re.findall(rf"\({tag}\)\s+(.*)", readelf("--dynamic"))


def exported_symbols() -> list[str]:
    # Columns: number, value, size, type, bind, visibility, section, name.
    rows = [line.split() for line in readelf("--dyn-syms").splitlines()]
    return sorted(
        row[7].partition("@")[0]
        for row in rows
        if len(row) >= 8 and row[4] in {"GLOBAL", "WEAK"} and row[6] != "UND"
    )


def constructors() -> list[str]:
    """Name the functions that the linker runs at load, without the compiler's own one."""
    section = re.search(r"\.init_array\s+INIT_ARRAY\s+(\w+) \w+ (\w+)", readelf("--sections"))
    if section is None:
        return []
    start, size = (int(text, 16) for text in section.groups())
    relocations = re.findall(r"^(\w+)\s+\w+\s+R_\w+_RELATIVE\s+(\w+)", readelf("--relocs"), re.M)
    targets = [int(to, 16) for at, to in relocations if start <= int(at, 16) < start + size]
    symbols = re.findall(r"^\s*\d+: (\w+)\s+\d+ FUNC\s+.*\s(\S+)$", readelf("--symbols"), re.M)
    names = {int(address, 16): name for address, name in symbols}
    assert len(targets) * 8 == size
    return [name for t in targets if (name := names.get(t, hex(t))) != "frame_dummy"]


def test_libc_is_the_only_needed_library() -> None:
    needed = {value.partition("[")[2].rstrip("]") for value in dynamic_values("NEEDED")}
    assert {name for name in needed if not name.startswith("ld-linux")} == {"libc.so.6"}


def test_soname_is_plain() -> None:
    assert dynamic_values("SONAME") == ["Library soname: [libhz3.so]"]


def test_thread_local_storage_fits_the_static_surplus() -> None:
    segment = re.search(r"^\s*TLS\s+\w+ \w+ \w+ \w+ (\w+)", readelf("--segments"), re.M)
    assert segment is not None
    assert int(segment.group(1), 16) <= TLS_BYTES


def test_thread_local_access_is_initial_exec() -> None:
    relocations = readelf("--relocs")
    assert "TPOFF64" in relocations or "TLS_TPREL" in relocations
    assert not re.search(r"DTPMOD|TLSDESC", relocations)


def test_one_constructor_at_most() -> None:
    assert len(constructors()) <= 1, constructors()


def test_relocations_are_read_only_and_done_at_load() -> None:
    flags = " ".join(dynamic_values("FLAGS") + dynamic_values("FLAGS_1"))
    assert "BIND_NOW" in flags
    assert "GNU_RELRO" in readelf("--segments")
    assert dynamic_values("TEXTREL") == []
    assert "TEXTREL" not in flags


def test_the_library_cannot_be_unloaded() -> None:
    assert "NODELETE" in " ".join(dynamic_values("FLAGS_1"))


def test_no_memory_is_writable_and_executable() -> None:
    loads = re.findall(
        r"^\s*(?:LOAD|GNU_STACK)\s+.*\s([RWE ]{3})\s+0x\w+$", readelf("--segments"), re.M
    )
    assert loads
    assert [flags for flags in loads if "W" in flags and "E" in flags] == []


def test_exported_symbols_are_the_reviewed_ones() -> None:
    now = "\n".join(exported_symbols()) + "\n"
    assert now == EXPORTS.read_text(encoding="utf-8"), (
        f"exports changed; if that is meant, write them to {EXPORTS}:\n{now}"
    )


def test_every_public_function_is_exported() -> None:
    header = resources.library_path().parents[1] / "include" / "hz3" / "hz3.h"
    declared = set(re.findall(r"\b(hz3_\w+)\(", header.read_text(encoding="utf-8")))
    assert declared
    assert declared <= set(exported_symbols())


def test_versions_agree() -> None:
    assert native.version() == metadata.version("hz3")


def test_native_parts_are_installed() -> None:
    assert resources.launcher_path().is_file()
    assert resources.probe_path().is_file()
    assert "random_mixed" in resources.workload_names()
    assert "quick.toml" in {path.name for path in resources.suite_paths()}


def test_the_launcher_needs_no_library() -> None:
    assert "(NEEDED)" not in readelf("--dynamic", path=resources.launcher_path())


def test_the_binding_does_not_contain_the_allocator() -> None:
    binding = sys.modules[native.Stats.__module__].__file__
    assert binding is not None
    assert "hz3_malloc" not in readelf("--dyn-syms", path=Path(binding))
    assert "libhz3" not in readelf("--dynamic", path=Path(binding))


def test_stubs_match_the_module(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed.txt"
    allowed.write_text(STUB_EXCEPTIONS, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--allowlist", str(allowed), "hz3py._core"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
