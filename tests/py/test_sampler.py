"""Resident memory over time: the sampler process, and the numbers made of its series."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hz3py.measure.run import sampler_command
from hz3py.measure.sample import Rss, Sample, Status
from hz3py.measure.sampler.phases import Marks
from hz3py.measure.sampler.tree import Tree
from hz3py.measure.sampler.watch import COST_CHECK_SAMPLES, MAX_ROWS, Cost, Series
from hz3py.measure.series import Recording, parse_recording, summarise

PYTHON = (sys.executable, "-I", "-S", "-c")
RAMP = [(float(second), 100.0 * second) for second in range(11)]
MEASURED = st.floats(0, 1e9, allow_nan=False)


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    steps = draw(st.lists(st.floats(1e-4, 10), min_size=0, max_size=30))
    at_s, series = 0.0, []
    for step in steps:
        series.append((at_s, draw(MEASURED)))
        at_s += step
    marks = dict(
        zip(
            draw(st.sampled_from([(), ("work-begin",), ("work-begin", "work-end", "idle-end")])),
            sorted(draw(st.lists(st.floats(0, 100), min_size=3, max_size=3))),
            strict=False,
        )
    )
    return Recording(series, marks, 0.0, len(series))


@given(recordings(), MEASURED)
def test_numbers_lie_within_what_was_seen(recording: Recording, peak_kb: float) -> None:
    rss = summarise(recording, peak_kb)
    seen = [kb for _, kb in recording.series] or [peak_kb]
    low, high = min(*seen, peak_kb), max(*seen, peak_kb)
    slack = 1e-9 * high
    assert low - slack <= rss.mean_kb <= high + slack
    assert low - slack <= rss.p95_kb <= high + slack
    assert rss.peak_kb == high
    assert rss.idle_kb is None or low <= rss.idle_kb <= high
    assert Rss.from_json(rss.to_json()) == rss


def test_mean_is_weighted_by_time() -> None:
    dense = Recording([(0, 10), (0.1, 10), (0.2, 10), (0.3, 10), (0.300001, 90), (1.3, 90)])
    assert summarise(dense, 90).mean_kb == pytest.approx((0.3 * 10 + 1.0 * 90) / 1.3, rel=1e-4)


def test_mean_covers_the_whole_life_without_marks() -> None:
    assert summarise(Recording(RAMP), 1000).mean_kb == pytest.approx(500)


def test_mean_covers_the_work_with_marks() -> None:
    marks = {"work-begin": 2.5, "work-end": 4.5}
    rss = summarise(Recording(RAMP, marks), 1000)
    assert rss.mean_kb == pytest.approx(350)
    assert rss.p95_kb == pytest.approx(425)
    assert rss.idle_kb is None


def test_work_that_never_ended_lasts_to_the_end() -> None:
    assert summarise(Recording(RAMP, {"work-begin": 8.0}), 1000).mean_kb == pytest.approx(900)


def test_idle_is_the_median_after_the_work() -> None:
    marks = {"work-begin": 0.0, "work-end": 4.5, "idle-end": 9.5}
    assert summarise(Recording(RAMP, marks), 1000).idle_kb == 700


def test_quantile_ignores_a_short_peak() -> None:
    series = [
        (0.0, 10.0),
        (9.6, 10.0),
        (9.60001, 500.0),
        (9.7, 500.0),
        (9.70001, 10.0),
        (10.0, 10.0),
    ]
    rss = summarise(Recording(series), 500)
    assert rss.p95_kb == 10
    assert rss.peak_kb == 500


@pytest.mark.parametrize("series", [[], [(0.0, 400.0)]])
def test_program_that_was_over_at_once_sat_at_its_peak(series: list[tuple[float, float]]) -> None:
    rss = summarise(Recording(series), 1200)
    assert (rss.mean_kb, rss.p95_kb, rss.peak_kb) == (1200, 1200, 1200)


def test_recording_is_read_back() -> None:
    text = (
        "mark work-begin 0.5\nrow 0.1 100 60\nrow 0.7 200 90\nmark work-begin 0.9\ncpu 0.25\n"
        "quiet 0.6 pss=70 anon=60\nsamples 9\ninterval 0.004\nlater 1 2 3\n"
    )
    assert parse_recording(text) == Recording(
        series=[(0.1, 100.0), (0.7, 200.0)],
        marks={"work-begin": 0.5},
        cpu_s=0.25,
        samples=9,
        anon_kb=[60.0, 90.0],
        phases=[("work-begin", 0.5), ("work-begin", 0.9)],
        quiet=[(0.6, {"pss": 70.0, "anon": 60.0})],
        interval_s=0.004,
    )


def test_rows_of_an_older_sampler_are_read() -> None:
    assert parse_recording("row 0.1 100\n") == Recording([(0.1, 100.0)])


def test_a_rest_that_ended_the_program_is_its_idle_time() -> None:
    rows = "".join(f"row {at / 10} {100 + at} 50\n" for at in range(11))
    recording = parse_recording(rows + "mark load 0.2\nstopped 0.55 0.95\n")
    assert recording.phases == [("load", 0.2), ("work-end", 0.55), ("idle-end", 0.95)]
    assert summarise(recording, 0).idle_kb == 107.5
    own = parse_recording(rows + "mark work-end 0.35\nstopped 0.35 0.95\n")
    assert own.marks == {"work-end": 0.35, "idle-end": 0.95}


def test_damaged_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="x"):
        parse_recording("row 0.1 x\n")


@given(st.integers(1, 5 * MAX_ROWS))
def test_series_stays_bounded_and_covers_everything(count: int) -> None:
    series = Series(1.0)
    for index in range(count):
        series.add(float(index), index, index // 2)
    assert series.samples == count
    assert len(series.rows) < MAX_ROWS
    assert series.rows[0] == (0.0, 0, 0)
    gap = max((b[0] - a[0] for a, b in zip(series.rows, series.rows[1:], strict=False)), default=0)
    assert gap <= series.interval_s
    assert count - 1 - series.rows[-1][0] < series.interval_s


def test_costly_sampling_slows_down(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"monotonic": 0.0, "process_time": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["monotonic"])
    monkeypatch.setattr(time, "process_time", lambda: clock["process_time"])
    series, cost = Series(0.002), Cost()
    for share, interval_s in ((0.001, 0.002), (0.02, 0.004), (0.02, 0.008), (0.001, 0.008)):
        for _ in range(COST_CHECK_SAMPLES):
            clock["monotonic"] += 1.0
            clock["process_time"] += share
            series.add(clock["monotonic"], 1, 1)
            cost.limit(series)
        assert series.interval_s == pytest.approx(interval_s)


def test_marks_may_come_in_pieces() -> None:
    reader, writer = os.pipe()
    marks = Marks(reader)
    os.write(writer, b"work-begin\nwork-")
    assert marks.read(1.0)
    os.write(writer, b"end\n")
    assert marks.read(2.0)
    os.close(writer)
    assert not marks.read(3.0)
    os.close(reader)
    assert marks.seen == [("work-begin", 1.0), ("work-end", 2.0)]


@pytest.mark.parametrize("has_children_files", [True, False])
def test_tree_follows_descendants(has_children_files: bool) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', 'input()'])"
    with subprocess.Popen((*PYTHON, code), stdin=subprocess.PIPE) as process:
        tree = Tree(process.pid)
        if not has_children_files:
            tree._has_children_files = False
        alone_kb = tree.resident_kb()
        deadline = time.monotonic() + 10
        while len(tree._statm) < 2 and time.monotonic() < deadline:
            tree.scan()
            time.sleep(0.01)
        assert len(tree._statm) == 2
        assert tree.resident_kb() > alone_kb > 0
        process.communicate(b"\n")
    assert tree.resident_kb() == 0
    assert tree._statm == {}


def test_tree_of_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    tree = Tree(process.pid)
    tree.scan()
    assert tree.resident_kb() == 0


def test_tree_counts_a_zombie_as_gone() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Tree(process.pid).resident_kb() == 0
    process.wait()


def sample_process(code: str, idle_s: float = 0.0) -> Recording:
    """Run the sampler by hand over a Python program, as the measuring process does."""
    pid_in, pid_out = os.pipe()
    phase_in, phase_out = os.pipe()
    numbers = (pid_in, phase_in, 2000, round(idle_s * 1e6))
    sampler = subprocess.Popen(
        [*sampler_command(), *map(str, numbers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(pid_in, phase_in),
        text=True,
    )
    assert sampler.stdout is not None
    assert sampler.stdout.readline() == "ready\n"
    with subprocess.Popen(
        (*PYTHON, code), pass_fds=(phase_out,), env={"HZ3_PHASE_FD": str(phase_out)}
    ) as program:
        os.close(phase_out)
        os.write(pid_out, b"%d\n" % program.pid)
        os.close(pid_out)
    text, _ = sampler.communicate(timeout=30)
    os.close(pid_in)
    os.close(phase_in)
    return parse_recording(text)


STAIRCASE = """
import os, time
def mark(name): os.write(int(os.environ["HZ3_PHASE_FD"]), name.encode() + b"\\n")
time.sleep(0.2)
mark("work-begin")
x = bytearray(b"x") * (64 << 20)
time.sleep(0.4)
mark("work-end")
del x
time.sleep(0.3)
mark("idle-end")
"""


def test_phases_of_a_staircase() -> None:
    recording = sample_process(STAIRCASE)
    assert list(recording.marks) == ["work-begin", "work-end", "idle-end"]
    rss = summarise(recording, 0)
    assert rss.p95_kb > 64 << 10
    assert rss.mean_kb > 40 << 10
    assert rss.idle_kb is not None
    assert rss.idle_kb < 32 << 10
    assert rss.samples > 20
    seconds = [at_s for at_s, _ in rss.series]
    assert seconds == sorted(seconds)
    assert 0.8 < seconds[-1] < 5


def test_a_resting_program_is_accounted_for_exactly() -> None:
    recording = sample_process("import time; x = bytearray(b'x') * (32 << 20); time.sleep(1)")
    assert recording.quiet
    _, account = recording.quiet[-1]
    assert 32 << 10 < account["anon"] <= account["pss"] < 64 << 10
    assert len(recording.anon_kb) == len(recording.series)
    assert 32 << 10 < recording.anon_kb[-2] < recording.series[-2][1]


def test_a_busy_program_is_left_alone() -> None:
    code = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    assert sample_process(code).quiet == []


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_program_that_stays_alive_is_ended_after_its_rest(stubborn: bool) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if stubborn else ""
    recording = sample_process(f"{ignore}import time; time.sleep(200)", idle_s=0.5)
    assert recording.stopped is not None
    begin_s, end_s = recording.stopped
    assert 0.5 <= end_s - begin_s < 100
    assert list(recording.marks) == ["work-end", "idle-end"]


def test_sampler_is_cheap() -> None:
    """The interval grows until sampling takes no notable part of a CPU."""
    recording = sample_process("import time; time.sleep(2)")
    assert recording.samples > 50
    assert recording.cpu_s < 0.1


def test_marks_at_the_very_end_are_kept() -> None:
    code = "import os; os.write(int(os.environ['HZ3_PHASE_FD']), b'work-begin\\nwork-end\\n')"
    assert list(sample_process(code).marks) == ["work-begin", "work-end"]


def test_sampler_ends_when_no_program_ever_runs() -> None:
    pid_in, pid_out = os.pipe()
    os.close(pid_out)
    done = subprocess.run(
        [*sampler_command(), str(pid_in), str(pid_in), "2000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=(pid_in,),
        text=True,
        timeout=30,
        check=True,
    )
    os.close(pid_in)
    recording = parse_recording(done.stdout)
    assert (recording.series, recording.marks, recording.samples) == ([], {}, 0)


TEXT = st.text(max_size=20)


@given(
    st.sampled_from(get_args(Status)),
    TEXT, st.none() | st.just({"throughput": 1.5}), st.booleans(), TEXT,
)  # fmt: skip
def test_sample_survives_its_json(
    status: Status, detail: str, result: dict[str, float] | None, interposed: bool, tail: str
) -> None:
    quiet = [{"at_s": 0.5, "pss": 1.0}]
    rss = Rss(1.0, 2.0, 3.0, None, [(0.0, 1.0)], 0.1, 1, [0.5], [("load", 0.1)], quiet, 0.002)
    sample = Sample(status, detail, {"pid": 1}, result, rss, interposed, "/lib/x", tail, tail)
    data = sample.to_json()
    assert Sample.from_json({**data, "added_later": 1}) == sample
    assert sample.ok == (status == "ok")


@pytest.mark.parametrize("damage", [{"status": "fine"}, {"exec": 3}, {"rss": {}}, {"rss": 1}])
def test_damaged_sample_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"sample|record"):
        Sample.from_json({**Sample("ok").to_json(), **damage})
