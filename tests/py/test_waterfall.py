"""The waterfall of an observation, as text and as a picture."""

from __future__ import annotations

from typing import Any

import pytest

from hz3py.errors import UsageError
from hz3py.report import waterfall
from hz3py.report.text import layout

MIB = 1 << 20


def document(**parts: int) -> dict[str, Any]:
    heap = sum(size for name, size in parts.items() if name != "non_heap")
    return {
        "parts": parts,
        "heap_resident_bytes": heap,
        "kernel_heap_resident_bytes": heap,
        "top_waste": [{"block_bytes": 512, "waste_bytes": 3 * MIB}],
        "locks_missed": 0,
    }


FULL = document(metadata=MIB, central=2 * MIB, live=4 * MIB, large_live=0, non_heap=3 * MIB)


def test_each_step_begins_where_the_one_before_ends() -> None:
    steps = waterfall.steps(FULL)
    names = [step.name for step in steps]
    assert names == ["live", "large_live", "central", "metadata", "", "non_heap", ""]
    running = 0
    for step in steps:
        if step.name:
            assert step.start_bytes == running
            running += step.size_bytes
        else:
            assert (step.start_bytes, step.size_bytes) == (0, running)
    assert running == 10 * MIB


def test_text_shows_what_there_is() -> None:
    lines = [line.text for line in layout(waterfall.waterfall_table(FULL))]
    assert lines[0].split() == ["part", "MiB", "share"]
    assert not any("large" in line for line in lines)
    bars = {line.split("  ")[0]: line.split("%")[-1] for line in lines[1:]}
    assert bars["live blocks"] == "  " + "█" * 12
    assert bars["free, in used spans"] == "  " + " " * 12 + "█" * 6
    assert bars["process"] == "  " + "█" * 30
    assert lines[-1].split()[:3] == ["process", "10.0", "100.0"]


def test_parts_of_a_newer_library_are_shown_by_name() -> None:
    steps = waterfall.steps(document(live=MIB, attic=2 * MIB, non_heap=0))
    assert ("attic", MIB) in [(step.label, step.start_bytes) for step in steps]
    assert steps[-1].size_bytes == 3 * MIB


def test_remarks() -> None:
    odd = FULL | {"kernel_heap_resident_bytes": 14 * MIB, "locks_missed": 2}
    assert waterfall.remarks(odd) == [
        "the kernel counts 14.0 MiB in the heap (-50.0 %)",
        "most idle memory in blocks of 512 bytes (3.00 MiB)",
        "2 locks could not be had: the figures are approximate",
    ]


@pytest.mark.parametrize("parts", [FULL, document(live=0), document(live=1, non_heap=1)])
def test_the_picture_has_a_bar_for_each_step(parts: dict[str, Any]) -> None:
    figure = waterfall.waterfall_figure(parts, "a program")
    axes = figure.axes[0]
    shown = [step for step in waterfall.steps(parts) if step.size_bytes or not step.name]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [step.label for step in shown]
    assert len(axes.texts) == len(shown)


@pytest.mark.parametrize("wrong", [{}, {"parts": {}}, {"parts": 3}])
def test_other_documents_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no observation"):
        waterfall.steps(wrong)
