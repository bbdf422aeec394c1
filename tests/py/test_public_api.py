"""The public Python functions, their example in the README, and the notebooks in quick mode."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hz3py
from hz3py.errors import UsageError
from hz3py.system import allocators
from hz3py.tuning import session, work

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
WORK = [sys.executable, "-S", "-c", "x = [bytearray(3000) for _ in range(3000)]"]


@pytest.fixture(autouse=True)
def _needs_hz3() -> None:
    if not allocators.find(["hz3"])[0].installed:
        pytest.skip("hz3 is not installed")


def test_importing_the_package_stays_cheap() -> None:
    heavy = "{'pandas', 'numpy', 'optuna', 'matplotlib', 'click', 'dataclasses'}"
    code = f"import sys, hz3py; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_bench_returns_frames() -> None:
    result = hz3py.bench(
        WORK, allocators=["hz3", "system"], knobs={"tight": {"pack_bestfit_k": 16}}, blocks=2
    )
    assert list(result.rows["arm"]) == ["hz3", "system", "tight"]
    assert (result.rows["status"] == "ok").all()
    assert len(result.samples) == 6
    assert set(result.series["arm"]) == {"hz3", "system", "tight"}
    assert result.series["rss_mib"].max() < 1000


def test_tune_returns_what_was_learnt(tmp_path: Path) -> None:
    found = hz3py.tune(
        WORK, trials=3, blocks=2, confirm_blocks=4, knobs=["pack_bestfit_k"], out=tmp_path
    )
    assert found.document["trials"] == 3
    assert {"pack_bestfit_k", "rss_ratio", "front"} <= set(found.configurations.columns)
    assert found.claim == (found.profile is not None)
    assert (tmp_path / "tune.json").is_file()
    assert found.front().axes


def test_a_claim_is_to_be_tried_on_the_inputs_that_are_named(tmp_path: Path) -> None:
    found = hz3py.tune(
        WORK, trials=2, blocks=2, confirm_blocks=4, knobs=["pack_bestfit_k"], out=tmp_path,
        also=["true 'an input'", ["true", "another"]],
    )  # fmt: skip
    assert found.document["transfer_planned"] == ["true 'an input'", "true another"]
    assert len(found.document["transfer"]) == (2 if found.claim else 0)


def test_a_packaged_workload_brings_its_other_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[session.Request] = []

    def stop(request: session.Request, *_words: object, **_options: object) -> None:
        requests.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "tune", stop)
    for also in ([], ["mt_remote"]):
        with pytest.raises(KeyboardInterrupt):
            hz3py.tune("random_mixed", also=also, max_slowdown=5, out=tmp_path)
    own, named = ([task.name for task in request.transfer] for request in requests)
    assert own == [other.name for other in work.of_workload("random_mixed").transfer]
    assert len(own) > 1
    assert named == [work.of_workload("mt_remote").name]
    assert [request.task.throughput_margin for request in requests] == [0.05, 0.05]


@pytest.mark.parametrize(
    ("what", "also", "message"),
    [
        (WORK, ["no-such-program 5"], "no such program"),
        (WORK, ["true 1", ["true", "1"]], "'true 1' is named twice"),
        (WORK, ["true 'open"], "is not a command line"),
        (WORK, [[]], "the other input is empty"),
        (WORK, "true 1", "'true 1' is one text"),
        ("random_mixed", ["mt_remot"], "unknown workload"),
        ("random_mixed", [["true", "1"]], "'true 1' is a command"),
    ],
)
def test_an_input_that_cannot_be_tried_is_refused(
    what: str | list[str], also: list[str | list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        hz3py.tune(what, also=also)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown workload"):
        hz3py.bench("mt_remot")
    with pytest.raises(UsageError, match="unknown knob"):
        hz3py.tune(WORK, knobs=["pack_bestfit"])


@pytest.mark.parametrize("percent", [0, -1, 100, math.nan])
def test_a_slowdown_that_is_no_share_is_refused(percent: float) -> None:
    with pytest.raises(
        UsageError, match=r"max_slowdown .* is not a percentage above 0 and below 100"
    ):
        hz3py.tune(WORK, max_slowdown=percent)


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    text = (REPO / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    example = next(block for block in blocks if "hz3py.tune(" in block)
    quick = example.replace(
        '["./my-program", "--fast"], minutes=5', f"{WORK!r}, trials=2, blocks=2"
    )
    quick = quick.replace("blocks=3", "blocks=1")
    assert quick.count("trials=2") == 1
    subprocess.run([sys.executable, "-c", quick], check=True, timeout=200, cwd=tmp_path)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_quick_mode(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("NOTEBOOK_QUICK", "1")
    content = nbformat.read(notebook, as_version=4)
    assert all(not cell.get("outputs") for cell in content.cells), "strip the outputs"
    # The kernel is a process of its own, whose warnings are not ours to judge.
    code = (
        "import sys, nbformat, nbclient\n"
        "book = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(book, timeout=240, kernel_name='python3').execute()\n"
        "nbformat.write(book, sys.argv[2])\n"
    )
    assert nbclient is not None
    done = tmp_path / "done.ipynb"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(notebook), str(done)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    outputs = [
        o for cell in nbformat.read(done, as_version=4).cells for o in cell.get("outputs", [])
    ]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_there_are_three_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["knob_sweep", "rss_timeseries", "tuning"]
