"""Health checks of the set-up: whether hz3, its launcher, its peers and the preload work."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile

from hz3py.errors import Hz3Error
from hz3py.resources import DEV_BUILD_VARIABLE, launcher_path, library_path, probe_path
from hz3py.system.allocators import DEFAULT_BENCH_SET, find, is_object
from hz3py.system.elf import NotElfError, read_elf
from hz3py.system.finding import Finding
from hz3py.system.launch import clean_environment, is_leaking
from hz3py.system.peers import install_line
from hz3py.system.probe import complaints_about, run_probe

# What the loader can always find room for in a library that is loaded late.
TLS_LIMIT_BYTES = 16


def check_preload() -> Finding:
    """Start a program under hz3 and ask it who provides malloc."""
    try:
        library = library_path()
        probe = run_probe(library)
    except Hz3Error as error:
        return Finding("preload", "bad", str(error), "hz3 cannot be used", error.hint)
    if is_object(probe.malloc_object, library):
        value = f"hz3 {probe.version} provides malloc".replace("  ", " ")
        return Finding("preload", "ok", value, "programs can be started under hz3")
    value = probe.complaint or f"malloc comes from {probe.malloc_object}"
    meaning = "the library was preloaded and did not take"
    return Finding("preload", "bad", value, meaning, f"ldd '{library}'")


def check_static_tls() -> Finding:
    """Look at how much thread-local memory libhz3.so asks for."""
    try:
        size_bytes = read_elf(library_path()).tls_bytes
    except (Hz3Error, NotElfError, OSError) as error:
        return Finding("static TLS", "bad", str(error), "hz3 cannot be used", _hint(error))
    value = f"{size_bytes} bytes"
    if size_bytes <= TLS_LIMIT_BYTES:
        return Finding("static TLS", "ok", value, "the library can also be loaded late, by dlopen")
    return Finding(
        "static TLS",
        "warn",
        value,
        "the room for late libraries is small, so dlopen of this library may fail",
        "preload it, or raise GLIBC_TUNABLES=glibc.rtld.optional_static_tls=1024",
    )


def check_peers() -> Finding:
    """Look for the allocators that a benchmark compares with."""
    wanted = [name for name in DEFAULT_BENCH_SET if name not in ("hz3", "system")]
    allocators = find(wanted)
    missing = [allocator.name for allocator in allocators if not allocator.installed]
    if not missing:
        value = ", ".join(f"{allocator.name} {allocator.version}" for allocator in allocators)
        return Finding("peers", "ok", value, "a benchmark compares with all of them")
    meaning = "a benchmark compares with the others and the system malloc only"
    hint = install_line(missing)
    return Finding("peers", "warn", f"{', '.join(missing)} not installed", meaning, hint)


def check_launcher() -> Finding:
    """Run the launcher once and see how it reads the peak of resident memory."""
    try:
        source = _peak_source()
    except (Hz3Error, OSError, ValueError, KeyError) as error:
        return Finding("launcher", "bad", str(error), "nothing can be measured", _hint(error))
    if source == "exit-stop":
        return Finding("launcher", "ok", "works", "the peak is read from the program itself")
    return Finding(
        "launcher",
        "warn",
        "tracing is refused",
        "peaks also count helper programs, and a preload is proven only in longer runs",
        "in a container: --cap-add SYS_PTRACE; else sudo sysctl kernel.yama.ptrace_scope=1",
    )


def check_variables() -> Finding:
    """Look for variables that steer an allocator, and ask hz3 about those that are meant for it."""
    leaked = sorted(name for name in os.environ if is_leaking(name) and name != DEV_BUILD_VARIABLE)
    if not leaked:
        return Finding("variables", "ok", "none", "no variable steers an allocator")
    meaning = "they steer allocators; measurements leave them out, programs you start feel them"
    return Finding(
        "variables",
        "warn",
        ", ".join(leaked),
        ". ".join([meaning, *_complaints()]),
        f"unset {' '.join(leaked)}",
    )


def _complaints() -> list[str]:
    """Return what hz3 says of the variables that it does not take, such as a misspelt knob."""
    meant_for_hz3 = {name: text for name, text in os.environ.items() if name.startswith("HZ3_")}
    if not meant_for_hz3:
        return []
    try:
        return complaints_about(meant_for_hz3)
    except Hz3Error:
        return []  # a part is not installed, which is a finding of its own


def _hint(error: Exception) -> str:
    return error.hint if isinstance(error, Hz3Error) else "install the package again"


def _peak_source() -> str:
    """Return where the launcher got the peak of a tiny program from."""
    with tempfile.TemporaryFile() as report:
        subprocess.run(
            [str(launcher_path()), "--report-fd", str(report.fileno()), "--", str(probe_path())],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(report.fileno(),),
            timeout=20,
            check=False,
        )
        report.seek(0)
        return str(json.loads(report.read())["hwm_source"])
