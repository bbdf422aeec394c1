"""A small reader of ELF shared objects: enough to say why a library cannot be preloaded.

Reads the header, the program headers and the dynamic symbol table; runs no code of the file.
Layouts: System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CLASS_64 = 2
_TYPE_SHARED = 3
_PT_TLS = 7
_SHT_DYNSYM = 11
_UNDEFINED_SECTION = 0

_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le"}


class NotElfError(Exception):
    """The file is not an ELF file, or is cut short."""


@dataclass(frozen=True)
class ElfFile:
    """What the headers of one ELF file say.

    Attributes:
        machine: Architecture in the words of ``uname -m``; "machine N" for one we do not know.
        is_shared: Whether it is a shared object (a preload must be one).
        tls_bytes: Size of the thread-local segment; 0 without one.
        defines: Names it defines for others; ``None`` if the file carries no section headers.
    """

    machine: str
    is_shared: bool
    tls_bytes: int
    defines: frozenset[str] | None


def host_machine() -> str:
    """Return the architecture this interpreter runs on, for example "x86_64"."""
    return platform.machine()


def read_elf(path: Path) -> ElfFile:
    """Read the headers of `path`.

    Raises:
        NotElfError: It is not an ELF file, or its tables point outside of it.
        OSError: It cannot be read.
    """
    data = path.read_bytes()
    if data[:4] != b"\x7fELF":
        raise NotElfError("it does not begin with the ELF signature")
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise NotElfError("its ELF tables are damaged or cut short") from error


def _read(data: bytes) -> ElfFile:
    order = "<" if data[5] == 1 else ">"
    kind, machine_number = struct.unpack_from(f"{order}HH", data, 16)
    machine = _MACHINES.get(machine_number, f"machine {machine_number}")
    is_shared = kind == _TYPE_SHARED
    if data[4] != _CLASS_64:
        # A 32-bit object is refused for its architecture; its tables are of no interest.
        return ElfFile(machine, is_shared, 0, None)
    program_offset, section_offset = struct.unpack_from(f"{order}QQ", data, 32)
    program_size, program_count, section_size, section_count = struct.unpack_from(
        f"{order}HHHH", data, 54
    )
    tls_bytes = 0
    for index in range(program_count):
        segment = struct.unpack_from(
            f"{order}IIQQQQQQ", data, program_offset + index * program_size
        )
        if segment[0] == _PT_TLS:
            tls_bytes = segment[6]
    sections = [
        struct.unpack_from(f"{order}IIQQQQIIQQ", data, section_offset + index * section_size)
        for index in range(section_count)
    ]
    return ElfFile(machine, is_shared, tls_bytes, _defined_names(data, order, sections))


def _defined_names(
    data: bytes, order: str, sections: list[tuple[int, ...]]
) -> frozenset[str] | None:
    """Collect the defined names of the dynamic symbol table."""
    table = next((section for section in sections if section[1] == _SHT_DYNSYM), None)
    if table is None:
        return None
    offset, size, string_section = table[4], table[5], table[6]
    strings_at = sections[string_section][4]
    if offset + size > len(data):
        raise IndexError("symbol table outside of the file")
    names = set()
    for name_at, _info, _other, section, _value, _size in struct.iter_unpack(
        f"{order}IBBHQQ", data[offset : offset + size]
    ):
        if section != _UNDEFINED_SECTION:
            start = strings_at + name_at
            names.add(data[start : data.index(b"\0", start)].decode("utf-8", "replace"))
    return frozenset(names)
