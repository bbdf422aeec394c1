"""Whether a program can be preloaded at all, told from its file before it is started.

The dynamic loader does not complain when it ignores LD_PRELOAD: a static program simply runs with
its own malloc. `hz3 run` waits for this module, so it imports next to nothing: not even pathlib,
and the errors only when there is one.
"""

from __future__ import annotations

import os
import stat
import struct

_HEADER_BYTES = 4096
_MOST_INTERPRETERS = 4
_PT_INTERP = 3
_CLASS_64 = 2
_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le"}


def locate(program: str) -> str:
    """Find a program as the shell would: by its path, or by its name in PATH.

    Raises:
        UsageError: There is none, or it cannot be executed.
    """
    if "/" in program:
        candidates = [program]
    else:
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        candidates = [os.path.join(folder or ".", program) for folder in folders]
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    if any(os.path.isfile(path) for path in candidates):
        raise _usage_error(f"cannot run {program!r}: it is not executable", f"chmod +x {program}")
    raise _usage_error(f"cannot run {program!r}: no such program", "check its name and PATH")


def check(path: str) -> None:
    """Make sure that the dynamic loader will honour LD_PRELOAD for this program.

    A script is judged by its interpreter.

    Raises:
        PreloadError: It will not; the message says why.
        UsageError: The file cannot be read.
    """
    header = _read(path)
    for _ in range(_MOST_INTERPRETERS):
        if not header.startswith(b"#!"):
            break
        path = _interpreter(path, header)
        header = _read(path)
    if header[:4] != b"\x7fELF":
        # A script without a first line: the shell that exec falls back to is an ordinary program.
        return
    _check_architecture(path, header)
    _check_loader(path, header)
    _check_privilege(path)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEADER_BYTES)
    except PermissionError:
        # Executable but not readable: nothing can be said, so it is given the benefit of the doubt.
        return b""
    except OSError as error:
        raise _usage_error(f"cannot read {path}: {error.strerror}") from error


def _interpreter(script: str, header: bytes) -> str:
    words = os.fsdecode(header[2:].split(b"\n", 1)[0]).split()
    if not words:
        raise _usage_error(f"cannot run {script}: its first line names no interpreter")
    if os.path.basename(words[0]) == "env":
        named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        if named:
            return locate(named[0])
    return locate(words[0])


def _check_architecture(path: str, header: bytes) -> None:
    number = struct.unpack_from(f"{_order(header)}H", header, 18)[0]
    machine = _MACHINES.get(number, f"machine {number}")
    ours = os.uname().machine
    if machine != ours or header[4] != _CLASS_64:
        bits = "" if header[4] == _CLASS_64 else " (32 bit)"
        raise _preload_error(
            f"{path} is a program for {machine}{bits}, which cannot load a library for {ours}",
            f"use a build of the program for {ours}",
        )


def _check_loader(path: str, header: bytes) -> None:
    loader = _loader(header)
    if loader is None:
        raise _preload_error(
            f"{path} is statically linked, so nothing can be preloaded into it",
            "use a dynamically linked build of the program",
        )
    if "musl" in loader:
        raise _preload_error(
            f"{path} runs on musl libc, and the library needs glibc",
            "use a build of the program for glibc",
        )


def _loader(header: bytes) -> str | None:
    """Return the dynamic loader that a 64-bit ELF program asks for; None if it is static."""
    order = _order(header)
    table = struct.unpack_from(f"{order}Q", header, 32)[0]
    size, count = struct.unpack_from(f"{order}HH", header, 54)
    for index in range(count):
        start = table + index * size
        if start + 56 > len(header):
            # The table lies behind what was read; unusual, and no reason to refuse.
            return ""
        kind, _flags, offset, _virtual, _physical, length = struct.unpack_from(
            f"{order}IIQQQQ", header, start
        )
        if kind == _PT_INTERP:
            return os.fsdecode(header[offset : offset + length].rstrip(b"\0"))
    return None


def _order(header: bytes) -> str:
    return "<" if header[5] == 1 else ">"


def _check_privilege(path: str) -> None:
    """Refuse programs that gain rights when started: the loader ignores LD_PRELOAD for them."""
    state = os.stat(path)
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        return
    changes_user = bool(state.st_mode & stat.S_ISUID) and state.st_uid != os.getuid()
    group_bits = stat.S_ISGID | stat.S_IXGRP
    changes_group = state.st_mode & group_bits == group_bits and state.st_gid != os.getgid()
    if changes_user or changes_group or (os.getuid() != 0 and _has_capabilities(path)):
        raise _preload_error(
            f"{path} gains rights when it starts (setuid, setgid or capabilities), and the dynamic "
            "loader ignores preloads for such programs",
            "run it as the user it would become, or use a copy without those rights",
        )


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _usage_error(message: str, hint: str = "") -> Exception:
    from hz3py.errors import UsageError

    return UsageError(message, hint)


def _preload_error(message: str, hint: str) -> Exception:
    from hz3py.errors import PreloadError

    return PreloadError(message, hint)
