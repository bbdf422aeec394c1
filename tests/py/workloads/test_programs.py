"""What single workload programs promise: the work that their arguments describe."""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workloads


def test_seed_decides_the_sequence(workloads: Workloads) -> None:
    ops = [workloads.tiny("random_mixed", "--seed", seed)["ops"] for seed in (1, 1, 2, 3, 4)]
    assert ops[0] == ops[1]
    assert len(set(ops)) > 1


def test_app_sizes_may_follow_any_number_of_arguments(workloads: Workloads) -> None:
    for words in (["3000", "40", "16", "32768", "7", "app"], ["3000", "app"], ["--sizes", "app"]):
        result = workloads.result("random_mixed", *words, "--ops", "3000")
        assert result["args"]["sizes"] == "app"
        assert result["touch"] == "first"
    assert workloads.tiny("random_mixed", "app", "--touch", "none")["touch"] == "none"
    run = workloads.start("random_mixed", 10, 400, 50000, 60000, "app")
    assert run.returncode == 2
    assert "no app size" in run.stderr


@pytest.mark.parametrize("percent", [0, 50, 90, 100])
def test_mt_remote_sends_its_share(workloads: Workloads, percent: int) -> None:
    result = workloads.result("mt_remote", 3, 20000, 40, 16, 64, percent, 32)
    assert result["remote_share"] == pytest.approx(percent / 100, abs=0.02)
    assert result["sent"] == result["received"]
    assert result["fallback"] == result["fallback_share"] == 0
    assert result["allocated"] >= result["sent"] + result["local"]
    assert result["events_per_s"] >= result["throughput"]


def test_mt_remote_fallback_is_counted(workloads: Workloads) -> None:
    result = workloads.result("mt_remote", 4, 20000, 40, 16, 64, 90, 1, "--on-full", "free")
    assert result["waits"] == 0
    assert result["fallback_share"] > 0
    meant = result["sent"] + result["fallback"]
    assert meant / (meant + result["local"]) == pytest.approx(0.9, abs=0.02)
    assert result["remote_share"] < 0.9


def test_larson_hands_its_slices_on(workloads: Workloads) -> None:
    for words in ([], ["--sized"]):
        result = workloads.tiny("larson", *words)
        assert result["args"]["sized"] == bool(words)
        # A thread ends after 5 x 50 replacements.
        assert result["threads_created"] == pytest.approx(result["ops"] / 250, abs=3)


def test_xmalloc_test_takes_short_and_long_options(workloads: Workloads) -> None:
    spellings = ("-w 3 -t 0.05 -s 200", "-w3 -t0.05 -s200", "--workers 3 --seconds=0.05 --size=200")
    for text in (*spellings, "3 0.05 200"):
        arguments = workloads.result("xmalloc_test", *text.split())["args"]
        assert (arguments["threads"], arguments["seconds"], arguments["size"]) == (3, 0.05, 200)
    assert workloads.result("xmalloc_test", "-t", "0.05", "-s", "-1")["args"]["size"] == -1
    for size in ("0", "1.5", "-0.5"):
        assert workloads.start("xmalloc_test", "-s", size).returncode == 2


def test_full_output_device_is_an_error(workloads: Workloads) -> None:
    with Path("/dev/full").open("w") as full:
        run = workloads.start("random_mixed", "1000", stdout=full, stderr=subprocess.PIPE)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "cannot write the result" in run.stderr


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("random_mixed", "60000 30000 16384 32768"),
        ("malloc_large", "30 25 10000000 20000000"),
        ("realloc_growth", "4 16 150000000 50 1"),
        ("burst_idle", "30000 0 1 0 1 10000 20000"),
    ],
)
def test_exhausted_memory_is_counted(workloads: Workloads, name: str, words: str) -> None:
    result = workloads.result(name, *words.split(), preexec_fn=limit_memory)
    assert result["failed"] > 0


def test_programs_need_nothing_but_libc(workloads: Workloads) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf")
    for name in workloads.names:
        text = subprocess.run(
            ["readelf", "-d", workloads.find(name)], capture_output=True, text=True, check=True
        ).stdout
        needed = [line.split("[")[1].rstrip("]") for line in text.splitlines() if "NEEDED" in line]
        assert [library.split(".")[0] for library in needed] == ["libc"], name
