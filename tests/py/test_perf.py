"""Hardware events: read from what perf writes, and said once where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hz3py.cli.app import main
from hz3py.cli.counting import NOT_HERE
from hz3py.system import perf

REPORT = """# started on Sat Nov 21 10:00:00 2026

123456,,instructions:u,1000,100.00,,
<not supported>,,cycles,0,100.00,,
<not counted>,,cache-misses,0,0.00,,
78.5,,branch-misses,1000,50.00,0.10,of all branches
"""
FAKE = f"""#!/bin/sh
while [ "$1" != -- ]; do [ "$1" = -o ] && report=$2; shift; done
shift
"$@" || exit 1
cat > "$report" <<'END'
{REPORT}END
"""


@pytest.fixture
def fake_perf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "perf").write_text(FAKE, encoding="ascii")
    (folder / "perf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return folder


def test_only_events_that_were_counted_are_read() -> None:
    assert perf.parse(REPORT) == {"instructions": 123456.0, "branch-misses": 78.5}
    assert perf.parse("") == {}


def test_every_arm_is_counted_once(fake_perf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert perf.supported() == ("instructions", "branch-misses")
    words = ["bench", "--allocators", "system", "--blocks", "1", "--counters"]
    assert main([*words, "--json", "--out", "r", "--", "true"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    counts = {"instructions": 123456.0, "branch-misses": 78.5}
    assert events == [{"label": "true", "allocator": "system", "events": counts}]
    assert main([*words, "--out", "s", "--", "true"]) == 0
    assert "123 k" in capsys.readouterr().out


def test_a_machine_that_counts_nothing_says_so_once(
    fake_perf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fake_perf / "perf").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    words = ["bench", "--allocators", "system", "--blocks", "1", "--counters", "--out", "r"]
    assert main([*words, "--", "true"]) == 0
    assert capsys.readouterr().err.count(NOT_HERE) == 1
