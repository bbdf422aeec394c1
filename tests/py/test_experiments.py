"""Every packaged experiment can be run: its knobs, workloads and criteria exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hz3py import resources
from hz3py.analysis.criteria import METRICS
from hz3py.cli.experiment import prepare
from hz3py.errors import UnfitMachineError
from hz3py.workloads import experiments
from hz3py.workloads.catalogue import describe

REPO = Path(__file__).resolve().parents[2]
FILES = sorted((REPO / "benchmarks" / "experiments").glob("*.toml"))
MOST_SECONDS = 400
"""An experiment that needs all its looks takes no longer, by its own estimate."""


def test_there_are_experiments_about_every_part_of_the_allocator() -> None:
    names = " ".join(path.stem for path in FILES)
    parts = ("stash", "drain", "spill", "pack", "active", "large", "retention", "exit", "decay")
    others = ("memory", "size", "tcmalloc")
    assert [part for part in (*parts, *others) if part not in names] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_is_ready_to_run(path: Path) -> None:
    experiment = experiments.find(str(path))
    assert experiment.name == path.stem
    assert experiment.question.endswith("?")
    assert experiment.source
    try:
        setup = prepare(experiment, blocks=None, budget_minutes=None, self_check=False, seed=1)
    except UnfitMachineError as error:
        if "is not installed" in str(error) and "arm " in str(error):
            pytest.skip(str(error))
        raise
    assert set(setup.metrics) <= set(METRICS)
    assert setup.plan.estimate_s() <= MOST_SECONDS
    assert len({arm.described() for arm in setup.arms}) == len(setup.arms), "two arms are the same"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_arguments_of_the_workloads_exist(path: Path) -> None:
    if not resources.workload_names():
        pytest.skip("no workloads are installed")
    for item in experiments.find(str(path)).templates:
        known = describe(item.workload).arguments
        words = [word for word in item.args if not word.startswith("--")]
        options = [word for word in item.args if word.startswith("--")]
        assert len(words) <= sum(argument.position is not None for argument in known)
        assert {word[2:] for word in options} <= {argument.name for argument in known}


def test_a_deliberate_loss_is_packaged_to_test_the_procedure() -> None:
    loss = experiments.find(str(REPO / "benchmarks" / "experiments" / "known_loss.toml"))
    percent = float(loss.candidates[0].env["BENCH_HANDICAP_PERCENT"])
    assert percent / 100 > 2 * loss.criteria[0].margin


def test_experiments_are_found_by_name() -> None:
    packaged = experiments.packaged()
    if not packaged:
        pytest.skip("the package was installed without experiments")
    assert set(packaged) == {path.stem for path in FILES}
    assert experiments.find("known_loss").name == "known_loss"


def test_the_form_of_the_docstring_is_a_whole_experiment(tmp_path: Path) -> None:
    text = ast.get_docstring(ast.parse(Path(experiments.__file__).read_text(encoding="utf-8")))
    assert text is not None
    path = tmp_path / "docstring.toml"
    path.write_text("\n".join(re.findall(r"^    (.*)$", text, re.MULTILINE)), encoding="utf-8")
    parsed = experiments.find(str(path))
    assert [arm.name for arm in parsed.candidates] == ["stash"]
