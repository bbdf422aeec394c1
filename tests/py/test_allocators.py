"""Finding allocators, and refusing libraries that cannot be preloaded."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hz3py import resources
from hz3py.errors import PreloadError, UnfitMachineError, UsageError
from hz3py.system import allocators, peers, probe
from hz3py.system.allocators import Allocator, check_library, discover, find, parse_extra
from hz3py.system.elf import NotElfError, host_machine, read_elf

MACHINE_OFFSET = 18  # of e_machine in the ELF header
TYPE_OFFSET = 16
OTHER_MACHINE = 243  # riscv64


@pytest.fixture(scope="session")
def libm() -> Path:
    """Return a library that certainly exists, loads, and does not define malloc."""
    for folder, _ in peers._folders():
        if (folder / "libm.so.6").is_file() and read_elf(folder / "libm.so.6").is_shared:
            return folder / "libm.so.6"
    pytest.skip("no libm.so.6")


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the machine look as if no peer were installed."""
    monkeypatch.setattr(peers, "_folders", lambda: iter(()))
    monkeypatch.setattr(peers, "_loader_cache", dict)


def patched(source: Path, target: Path, offset: int, number: int) -> Path:
    data = bytearray(source.read_bytes())
    struct.pack_into("<H", data, offset, number)
    target.write_bytes(data)
    return target


def test_listing_names_everything_in_order() -> None:
    names = [allocator.name for allocator in discover()]
    assert names[:3] == ["hz3", "hz3-checked", "system"]
    assert names[3:] == ["tcmalloc", "mimalloc", "jemalloc", "tbbmalloc", "scudo"]


def test_the_checked_build_lies_beside_the_normal_one() -> None:
    normal, checked = find(["hz3", "hz3-checked"])
    assert normal.path is not None
    assert checked.path == normal.path.with_name("libhz3-checked.so")
    assert (checked.installed, checked.origin) == (True, "bundled")
    assert checked.version == normal.version


def test_every_allocator_is_usable_or_says_how_to_get_it() -> None:
    for allocator in discover():
        if allocator.installed:
            assert allocator.install_hint == ""
            assert allocator.origin
            assert (allocator.path is None) == (allocator.name == "system")
            assert allocator.version
        else:
            assert allocator.install_hint
            assert "\n" not in allocator.install_hint


def test_system_malloc_is_always_there(no_peers: None) -> None:
    system = find(["system"])[0]
    assert (system.installed, system.path, system.origin) == (True, None, "system")
    assert system.version == os.confstr("CS_GNU_LIBC_VERSION").split()[1]  # type: ignore[union-attr]


def test_missing_peers_come_with_their_install_line(no_peers: None) -> None:
    found = {allocator.name: allocator for allocator in discover()}
    missing = [name for name, allocator in found.items() if not allocator.installed]
    assert set(missing) >= {"tcmalloc", "mimalloc", "jemalloc", "tbbmalloc", "scudo"}
    assert found["jemalloc"].path is None
    line = peers.install_line(["tcmalloc", "jemalloc"])
    assert found["jemalloc"].install_hint.split()[-1] in line
    assert found["tcmalloc"].install_hint.split()[-1] in line
    assert found["mimalloc"].install_hint.split()[-1] not in line


def test_one_install_line_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    managers = {"apt-get": "/usr/bin/apt-get"}
    monkeypatch.setattr("hz3py.system.peers.shutil.which", managers.get)
    assert (
        peers.install_line(["jemalloc", "mimalloc", "system", "hz3"])
        == "apt-get install libmimalloc2.0 libjemalloc2"
    )
    assert peers.install_line(["system"]) == ""
    managers.clear()
    managers["dnf"] = "/usr/bin/dnf"
    assert peers.install_line(["tcmalloc"]) == "dnf install gperftools-libs"


def test_hz3_without_its_library_says_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(tmp_path))
    hz3 = find(["hz3"])[0]
    assert not hz3.installed
    assert "cmake --build" in hz3.install_hint


def test_unknown_name_is_refused_with_a_guess() -> None:
    with pytest.raises(UsageError, match="unknown allocator 'jemaloc'") as caught:
        find(["system", "jemaloc"])
    assert "did you mean 'jemalloc'" in caught.value.hint
    assert "--allocator NAME=PATH" in caught.value.hint


def test_each_name_is_looked_up_once() -> None:
    assert [allocator.name for allocator in find(["system", "hz3", "system"])] == ["system", "hz3"]


def test_own_library(spaced_library: Path, malloc_library: Allocator) -> None:
    extra = parse_extra([f"mine={spaced_library}"])
    mine = discover(extra)[-1]
    assert (mine.name, mine.path, mine.origin) == ("mine", spaced_library, "user")
    assert mine.version == malloc_library.version


def test_own_library_may_replace_a_known_one(spaced_library: Path) -> None:
    found = find(["jemalloc"], {"jemalloc": spaced_library})[0]
    assert (found.path, found.origin) == (spaced_library, "user")


@pytest.mark.parametrize("option", ["mine", "mine=", "=path", "my name=x", "-x=/lib.so", ""])
def test_own_library_in_the_wrong_form(option: str) -> None:
    with pytest.raises(UsageError, match="does not name an allocator") as caught:
        parse_extra([option])
    assert "name=path" in caught.value.hint


def test_own_name_given_twice() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_extra(["a=/x", "a=/y"])


def test_own_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_extra(["a=lib.so", "b=~/lib.so", "c=/x=y.so"]) == {
        "a": tmp_path / "lib.so",
        "b": Path("/home/someone/lib.so"),
        "c": Path("/x=y.so"),
    }


def test_library_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        check_library(tmp_path / "libnone.so")


def test_library_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PreloadError, match="is not a file"):
        check_library(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"INPUT(libmine.so)\n", b"\x7fELF", b"\x7fELF" + b"\1" * 60]
)
def test_library_that_is_not_elf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "libmine.so"
    path.write_bytes(content)
    with pytest.raises(PreloadError, match=r"is not a shared library|is built for"):
        check_library(path)


def test_library_of_another_architecture(tmp_path: Path, libm: Path) -> None:
    path = patched(libm, tmp_path / "libmine.so", MACHINE_OFFSET, OTHER_MACHINE)
    with pytest.raises(PreloadError, match=f"riscv64, and this machine is {host_machine()}"):
        check_library(path)


def test_library_that_is_no_shared_object(tmp_path: Path, libm: Path) -> None:
    path = patched(libm, tmp_path / "libmine.so", TYPE_OFFSET, 1)
    with pytest.raises(PreloadError, match="not a shared library"):
        check_library(path)


def test_library_without_malloc(libm: Path) -> None:
    with pytest.raises(PreloadError, match="does not define malloc"):
        check_library(libm)


def test_library_that_does_not_load(tmp_path: Path, malloc_library: Allocator) -> None:
    """Its dependency has another name now, and nobody has such a library."""
    assert malloc_library.path is not None
    data = malloc_library.path.read_bytes()
    assert b"libc.so.6\0" in data
    path = tmp_path / "libmine.so"
    path.write_bytes(data.replace(b"libc.so.6\0", b"libX.so.6\0"))
    with pytest.raises(PreloadError, match=r"does not load: libX\.so\.6: cannot open") as caught:
        check_library(path)
    assert caught.value.hint == f"see what it needs: ldd '{path}'"


def test_library_whose_start_crashes(
    tmp_path: Path, malloc_library: Allocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that dies stands in for the probe."""
    killer = tmp_path / "killer"
    killer.write_text("#!/bin/sh\necho oh no >&2; kill -SEGV $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(probe, "probe_path", lambda: killer)
    told = probe.run_probe(malloc_library.path)
    assert told.complaint == "a small test program under it was killed by signal 11: oh no"


def test_library_that_cannot_be_preloaded_by_its_path(
    tmp_path: Path, malloc_library: Allocator
) -> None:
    path = tmp_path / "lib mine.so"
    path.symlink_to(str(malloc_library.path))
    with pytest.raises(PreloadError, match="splits the path"):
        check_library(path)


def test_good_library_passes(malloc_library: Allocator) -> None:
    assert malloc_library.path is not None
    check_library(malloc_library.path)


def test_probe_without_a_preload_names_libc() -> None:
    told = probe.run_probe(None)
    assert "libc" in Path(told.malloc_object).name
    assert told.malloc_object == told.free_object
    assert told.version == os.confstr("CS_GNU_LIBC_VERSION").split()[1]  # type: ignore[union-attr]


def test_missing_launcher_does_not_break_the_listing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(tmp_path))
    allocators._probe_once.cache_clear()
    try:
        there = {allocator.name: allocator.installed for allocator in discover()}
        assert (there["hz3"], there["hz3-checked"], there["system"]) == (False, False, True)
    finally:
        allocators._probe_once.cache_clear()


def test_elf_reader_lists_what_a_library_defines(libm: Path) -> None:
    elf = read_elf(libm)
    assert elf.machine == host_machine()
    assert elf.is_shared
    assert elf.defines is not None
    assert "cos" in elf.defines
    assert "malloc" not in elf.defines


@given(st.data())
def test_elf_reader_survives_damage(libm: Path, data: st.DataObject) -> None:
    """Whatever is cut off or overwritten: an answer or NotElfError, nothing else."""
    content = bytearray(libm.read_bytes()[:4096])
    length = data.draw(st.integers(0, len(content)))
    content = content[:length]
    for _ in range(data.draw(st.integers(0, 4))):
        if length > 4:
            content[data.draw(st.integers(4, min(length - 1, 200)))] = data.draw(
                st.integers(0, 255)
            )
    path = _Bytes(bytes(content))
    try:
        elf = read_elf(path)  # type: ignore[arg-type]
    except NotElfError:
        return
    assert elf.tls_bytes >= 0


class _Bytes:
    """A file's content in place of its path."""

    def __init__(self, content: bytes) -> None:
        self.read_bytes = lambda: content


def test_developer_variable_must_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, "/no/such/folder")
    with pytest.raises(UsageError, match="not a folder"):
        resources.launcher_path()


def test_developer_folder_with_all_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "benchmarks" / "suites").mkdir(parents=True)
    (source / "benchmarks" / "suites" / "quick.toml").touch()
    build = tmp_path / "my build"
    (build / "workloads").mkdir(parents=True)
    (build / "CMakeCache.txt").write_text(f"A:STRING=1\nCMAKE_HOME_DIRECTORY:INTERNAL={source}\n")
    for name in (
        "libhz3.so",
        "libhz3-checked.so",
        "hz3-exec",
        "workloads/larson",
        "workloads/rptest",
    ):
        (build / name).touch(mode=0o755)
    (build / "workloads" / "notes.txt").touch(mode=0o644)
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(build))
    assert resources.library_path() == build / "libhz3.so"
    assert resources.checked_library_path() == build / "libhz3-checked.so"
    assert resources.workload_names() == ["larson", "rptest"]
    assert resources.workload_path("rptest") == build / "workloads" / "rptest"
    assert [path.name for path in resources.suite_paths()] == ["quick.toml"]
    with pytest.raises(UsageError, match="unknown workload 'larsson'") as unknown:
        resources.workload_path("larsson")
    assert "larson, rptest" in unknown.value.hint
    with pytest.raises(UnfitMachineError, match="hz3-probe is not installed"):
        resources.probe_path()


def test_no_workloads_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(tmp_path))
    with pytest.raises(UnfitMachineError, match="no workload programs are installed"):
        resources.workload_path("larson")
