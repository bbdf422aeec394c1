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


def search(model: str, flags: list[str], folder: Path) -> tuple[str, bool]:
    """Searches one model; returns what broke (or nothing) and whether all states were visited."""
    source = MODELS / f"{model}.pml"
    subprocess.run(
        ["spin", *flags, "-a", source], cwd=folder, check=True, capture_output=True, timeout=60
    )
    compile_line = ["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"]
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
    broken = re.search(r"^pan:\d+: (.*) \(at depth", done.stdout, re.MULTILINE)
    assert (broken is None) == (errors.group(1) == "0"), done.stdout[-2000:]
    whole = "Search not completed" not in done.stdout and "too small" not in done.stdout
    return (broken.group(1) if broken else ""), whole


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("page_queue", ["-DPRODUCERS=2"]),
        ("owner_stash", ["-DLEAVERS=3"]),
        ("owner_stash", ["-DLEAVERS=2", "-DVISITORS=2"]),
        ("owner_stash", ["-DLEAVERS=2", "-DVISITORS=1", "-DSENDERS=1"]),
        ("owner_stash", ["-DLEAVERS=2", "-DVISITORS=1", "-DWATCHERS=1"]),
        ("transfer_cache", ["-DEACH=1"]),
        pytest.param("page_queue", ["-DSPANS=1"], marks=pytest.mark.slow),
        pytest.param("owner_stash", ["-DBATCHES=2"], marks=pytest.mark.slow),
        pytest.param(
            "owner_stash", ["-DLEAVERS=2", "-DBATCHES=2", "-DVISITORS=1"], marks=pytest.mark.slow
        ),
        pytest.param("owner_stash", ["-DLEAVERS=3", "-DVISITORS=1"], marks=pytest.mark.slow),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
def test_a_protocol_holds_in_every_interleaving(
    model: str, flags: list[str], tmp_path: Path
) -> None:
    broken, whole = search(model, flags, tmp_path)
    assert broken == ""
    assert whole


# A twin, its flags, and the assertion that it breaks first.
TWINS = (
    ("page_queue", "-DPRODUCERS=2 -DPLAIN_STORE", "home==(("),
    ("page_queue", "-DPRODUCERS=2 -DLATE_CLEAR", "home==(("),
    ("page_queue", "-DPRODUCERS=2 -DNO_COUNT", "!(closed[span])"),
    ("page_queue", "-DPRODUCERS=2 -DLATE_NEXT", "!(closed[span])"),
    ("owner_stash", "-DLEAVERS=3 -DPLAIN_STORE", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=3 -DNO_SECOND_LOOK", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=3 -DTRY_FIRST", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=1 -DVISITORS=1 -DVISITOR_SILENT", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=1 -DVISITORS=1 -DEARLY_LOOK", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DLATE_LOWER", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=1 -DVISITORS=1 -DKEEP_LOCK", "invalid end state"),
    ("owner_stash", "-DLEAVERS=1 -DWATCHERS=1 -DWATCHER_LAST", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DPUSH_STORE", "!(twice)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DDRAIN_STORE", "!(lost)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DUNLOCKED", "!(lost)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DNO_SPILL", "!(lost)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DSPILL_LAST", "!(lost)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DSPILL_UNSEEN", "!(forgotten)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DNO_PUT_BACK", "!(lost)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DPUT_BACK_WHOLE", "!(twice)"),
    ("owner_stash", "-DLEAVERS=2 -DVISITORS=1 -DPUT_BACK_ALONE", "!(lost)"),
    ("transfer_cache", "-DEACH=1 -DNO_TAG", "inside[seen]"),
    ("transfer_cache", "-DEACH=1 -DNO_SWAP", "inside[seen]"),
)


@pytest.mark.parametrize(("model", "flags", "broken"), TWINS)
def test_a_broken_twin_is_found_out(model: str, flags: str, broken: str, tmp_path: Path) -> None:
    found, _ = search(model, flags.split(), tmp_path)
    assert broken in found
