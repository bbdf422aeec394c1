"""`hz3 top` and the live page: running processes seen from outside, and what can go wrong.

Programs are real and publish for themselves; only versions and half-written pages are made up, in
files that this process maps itself.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hz3py import native, resources
from hz3py.cli import top
from hz3py.errors import Hz3Error, PreloadError, UsageError
from hz3py.system import live_page
from hz3py.system.launch import clean_environment, preload_variables
from hz3py.system.live_page import LivePage, ProcessEndedError, publishing

PROGRAM = """
import os, sys, time
held = []
def grow():
    held.append([bytearray(1000) for _ in range(20000)])
    time.sleep(0.05)
    held.append([bytearray(1000) for _ in range(5000)])  # slow events, which update the page
    print(os.getpid(), flush=True)
grow()
for line in sys.stdin:
    if line == "fork\\n" and os.fork() == 0:
        held.clear()
        grow()
        sys.stdin.readline()
        os._exit(0)
    if line == "grow\\n":
        grow()
    if line == "exec\\n":
        os.environ.pop("LD_PRELOAD")
        os.execv(sys.executable, [sys.executable, "-c", "print(1, flush=True); input()"])
"""


class Program:
    """A Python program under hz3 that does what it is told."""

    def __init__(self, **variables: str) -> None:
        environment = clean_environment() | preload_variables(resources.library_path())
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=environment | {"PYTHONMALLOC": "malloc"} | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.answer()

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def answer(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate(timeout=30)


@contextlib.contextmanager
def running(**variables: str) -> Iterator[Program]:
    program = Program(**variables)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


@pytest.fixture
def program() -> Iterator[Program]:
    with running(HZ3_LIVE_PAGE="1") as started:
        yield started


def test_a_running_program_is_seen_from_outside(program: Program) -> None:
    with closing(LivePage(program.pid)) as page:
        first = page.read()
        assert first.pid == program.pid
        assert list(first.counters) == [row.name for row in native.counter_table()]
        assert set(first.gauges) == set(native.stats().as_dict())
        assert first.gauges["live_bytes"] > 15 << 20
        assert first.gauges["threads"] == 1
        assert page.rss_bytes() > first.gauges["live_bytes"]
        program.tell("grow")
        program.answer()
        second = page.read()
        assert second.gauges["live_bytes"] > first.gauges["live_bytes"] + (10 << 20)
        assert second.counters["bin_miss"] > first.counters["bin_miss"]
        assert second.uptime_s > first.uptime_s
        assert second.age_s < 10
        assert program.pid in publishing()
        program.end()
        with pytest.raises(ProcessEndedError):
            page.read()
    assert not list(live_page.FOLDER.glob(f"hz3-*-{program.pid}"))


def test_a_child_has_a_page_of_its_own(program: Program) -> None:
    program.tell("fork")
    child = program.answer()
    with closing(LivePage(program.pid)) as mine, closing(LivePage(child)) as its:
        assert its.read().pid == child
        assert its.read().gauges["live_bytes"] > 15 << 20
        before = mine.read().counters
        assert before["segments_new"] > 0
    os.kill(child, signal.SIGKILL)


def test_a_page_that_stayed_behind_is_recognised(program: Program) -> None:
    file = next(live_page.FOLDER.glob(f"hz3-*-{program.pid}"))
    program.process.kill()
    program.process.wait()
    assert file.exists()
    assert program.pid not in publishing()
    assert not file.exists()


def test_a_page_of_another_program_of_this_process_is_none(program: Program) -> None:
    file = next(live_page.FOLDER.glob(f"hz3-*-{program.pid}"))
    program.tell("exec")
    program.answer()
    try:
        assert program.pid not in publishing()
        with pytest.raises(UsageError, match="publishes no live page"):
            LivePage(program.pid)
    finally:
        file.unlink()


def test_a_file_in_the_way_is_replaced() -> None:
    """A dead process of the same number left it."""
    script = (
        'file=/dev/shm/hz3-$(id -u)-$$; echo old > "$file"; '
        f"LD_PRELOAD='{resources.library_path()}' HZ3_LIVE_PAGE=1 exec '{sys.executable}' -c "
        '\'import os; print(open(f"/dev/shm/hz3-{os.getuid()}-{os.getpid()}", "rb").read(7))\''
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "b'hz3live'\n"
    assert done.stderr == ""


def test_without_the_knob_nothing_is_published() -> None:
    with running() as silent, pytest.raises(UsageError, match="publishes no live page") as refused:
        LivePage(silent.pid)
    assert "HZ3_LIVE_PAGE=1" in refused.value.hint


def test_there_is_no_such_process() -> None:
    with pytest.raises(UsageError, match="there is no process"):
        LivePage(2**22 + 1)


@pytest.fixture
def page_of_mine(monkeypatch: pytest.MonkeyPatch) -> Iterator[mmap.mmap]:
    """A page that this process could have published, with one gauge."""
    with tempfile.TemporaryDirectory(prefix="hz3-pages-") as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(live_page, "FOLDER", Path(name))
        file = Path(name) / f"hz3-{os.getuid()}-{os.getpid()}"
        head = struct.pack("=8s6I3Q", b"hz3live", 1, os.getpid(), 56, 40, 1, 0, 0, 2, 0)
        file.write_bytes((head + struct.pack("=32sQ", b"live_bytes", 77)).ljust(8192, b"\0"))
        with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as memory:
            yield memory


def test_a_page_is_read(page_of_mine: mmap.mmap) -> None:
    with closing(LivePage(os.getpid())) as page:
        assert page.read().gauges == {"live_bytes": 77}
        page_of_mine[56 + 32] = 78
        assert page.read().gauges == {"live_bytes": 78}


def test_a_page_of_another_version_is_refused(page_of_mine: mmap.mmap) -> None:
    page_of_mine[8] = 9
    with pytest.raises(PreloadError, match=r"version 9 .* reads version 1"):
        LivePage(os.getpid())


def test_a_page_that_is_never_finished_is_refused(page_of_mine: mmap.mmap) -> None:
    page_of_mine[40] = 3
    with (
        closing(LivePage(os.getpid())) as page,
        pytest.raises(PreloadError, match="never finished"),
    ):
        page.read()


@pytest.mark.parametrize("place", [0, 3])
def test_another_file_is_no_page(page_of_mine: mmap.mmap, place: int) -> None:
    page_of_mine[place] = 0
    with pytest.raises(UsageError, match="publishes no live page"):
        LivePage(os.getpid())


@pytest.fixture
def barred_user(page_of_mine: mmap.mmap) -> Iterator[None]:
    """Bar this process from its page for a while, also where it is root."""
    next(live_page.FOLDER.iterdir()).chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("barred_user")
def test_a_page_of_another_user_is_refused() -> None:
    with pytest.raises(UsageError, match=f"belongs to user {os.getuid()}"):
        LivePage(os.getpid())


def shown(*words: str) -> str:
    done = CliRunner().invoke(top.command, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_command_shows_one_process(program: Program) -> None:
    text = shown(str(program.pid), "--once")
    assert text.startswith(f"process {program.pid}: {sys.executable}")
    assert "MiB, publishing for" in text
    assert "live_bytes" in text
    assert "bin_miss" in text
    document = json.loads(shown(str(program.pid), "--json"))
    assert document["schema"] == 1
    assert document["pid"] == program.pid
    assert document["gauges"]["live_bytes"] > 15 << 20


def test_the_command_lists_those_that_publish(program: Program) -> None:
    line = next(line for line in shown().splitlines() if line.split()[0] == str(program.pid))
    assert sys.executable in line
    listed = json.loads(shown("--json"))["processes"]
    assert program.pid in [row["pid"] for row in listed]


def test_an_empty_list_says_how_to_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_page, "FOLDER", tmp_path / "missing")
    top.command.main(args=[], standalone_mode=False)
    assert "no process publishes" in capsys.readouterr().err


def test_the_live_view_ends_with_its_process(program: Program) -> None:
    """In a terminal of its own, where figures have rates."""
    import pty  # noqa: PLC0415 - needed here alone

    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "hz3py", "top", str(program.pid), "--interval", "0.1"]
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=subprocess.PIPE, text=True
    ) as viewer:
        os.close(follower)
        text = ""
        with contextlib.suppress(OSError):  # what a terminal says when its other end is closed
            while piece := os.read(leader, 65536):
                text += piece.decode(errors="replace")
                if "per second" in text and program.process.poll() is None:
                    program.end()
        assert viewer.wait(timeout=30) == 0
        assert viewer.stderr is not None
        assert f"process {program.pid} has ended" in viewer.stderr.read()
    os.close(leader)
    assert "mapped_bytes" in text


def test_errors_are_of_the_tree() -> None:
    assert issubclass(ProcessEndedError, Hz3Error)
