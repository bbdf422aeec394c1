"""The protocols between threads, every interleaving visited by Spin; their broken twins must fail.

A model names its own sizes. Those that end within seconds run always; the larger ones are `slow`.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).parent
SEARCH_SECONDS = 300

pytestmark = pytest.mark.skipif(
    shutil.which("spin") is None or shutil.which("gcc") is None,
    reason="needs spin and gcc: apt-get install spin gcc",
)


def search(model: str, flags: list[str], folder: Path) -> tuple[int, bool]:
    """Searches one model; returns the errors found and whether all states were visited."""
    source = MODELS / f"{model}.pml"
    subprocess.run(
        ["spin", *flags, "-a", source], cwd=folder, check=True, capture_output=True, timeout=60
    )
    compile_line = ["gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"]
    subprocess.run(compile_line, cwd=folder, check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        ["./pan", "-m1000000"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=SEARCH_SECONDS,
    )
    errors = re.search(r"errors: (\d+)", done.stdout)
    assert errors, done.stdout[-2000:] + done.stderr[-2000:]
    whole = "Search not completed" not in done.stdout and "too small" not in done.stdout
    return int(errors.group(1)), whole


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("page_queue", ["-DPRODUCERS=2"]),
        ("owner_stash", ["-DBATCHES=1"]),
        ("owner_stash", ["-DBATCHES=1", "-DFASTPOP"]),
        ("transfer_cache", ["-DEACH=1"]),
        pytest.param("page_queue", ["-DSPANS=1"], marks=pytest.mark.slow),
        pytest.param("owner_stash", ["-DBATCHES=2"], marks=pytest.mark.slow),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
def test_a_protocol_holds_in_every_interleaving(
    model: str, flags: list[str], tmp_path: Path
) -> None:
    errors, whole = search(model, flags, tmp_path)
    assert errors == 0
    assert whole


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("page_queue", ["-DPRODUCERS=2", "-DPLAIN_STORE"]),
        ("page_queue", ["-DPRODUCERS=2", "-DLATE_CLEAR"]),
        ("page_queue", ["-DPRODUCERS=2", "-DNO_COUNT"]),
        ("page_queue", ["-DPRODUCERS=2", "-DLATE_NEXT"]),
        ("owner_stash", ["-DBATCHES=1", "-DPLAIN_STORE"]),
        ("owner_stash", ["-DBATCHES=1", "-DNO_SECOND_LOOK"]),
        ("owner_stash", ["-DBATCHES=1", "-DTRY_FIRST"]),
        ("transfer_cache", ["-DEACH=1", "-DNO_TAG"]),
        ("transfer_cache", ["-DEACH=1", "-DNO_SWAP"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
def test_a_broken_twin_is_found_out(model: str, flags: list[str], tmp_path: Path) -> None:
    errors, _ = search(model, flags, tmp_path)
    assert errors > 0
