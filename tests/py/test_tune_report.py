"""The report of a tuning session: the same story as a page, as Markdown and as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tune_simulation as sim
from browser import needs_chromium, shown

from hz3py.__main__ import main
from hz3py.report.tuning import knob_places
from hz3py.tuning import requests
from hz3py.tuning.choose import build
from hz3py.tuning.search import Budget
from hz3py.tuning.session import Request, tune
from hz3py.tuning.space import Knobs
from hz3py.tuning.task import Task

MACHINE = {"cpu": "Imagined CPU", "cpus": 2, "system": "Some Linux", "hz3": "1.2.3"}
HOSTILE = "</script><img src=http://evil/x onerror=alert(1)>{{ 7*7 }}|"
HEADINGS = (
    "Claim",
    "What was tuned",
    "Finalists, measured again",
    "Which changes matter",
    "Other inputs",
    "Importance of knobs",
    "Response to each knob",
    "Cliffs",
    "Front of throughput against memory",
    "Trials",
    "How to deploy",
    "How to repeat it",
    "Machine",
)


class Page(HTMLParser):
    """What the tests ask of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, tag: str, name: str = "") -> int:
        return sum(
            tag == found and (not name or name in (attributes.get("class") or "").split())
            for found, attributes in self.elements
        )


def helpful(knobs: Knobs) -> tuple[float, float]:
    """Much K saves memory; no spill saves a little more, and costs a tenth of the speed."""
    has_spill = knobs.get("stash_spill") != 0
    k = int(knobs.get("pack_bestfit_k", 4))
    return -0.02 * (k - 4) - (0.0 if has_spill else 0.02), 0.0 if has_spill else -0.1


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes the folder of a finished session."""

    def session(truth: Callable[[Knobs], tuple[float, float]] = helpful, name: str = "app") -> Path:
        folder = tmp_path / "session"
        row = replace(sim.TASK.rows[0], label=name, workload=name)
        task = Task(name, (row,), check=("true",), throughput_margin=0.3)
        names = ["pack_bestfit_k", "stash_spill"]
        space = build(sim.TABLE, names=names, fixed={"remote_route": "owner_stash"})
        request = Request(
            task,
            space,
            Budget(trials=30, patience=40),
            seed=3,
            storage="memory:",
            transfer=(replace(task, name=f"{name} large"),),
        )
        tune(request, folder, machine=MACHINE, blocks=sim.Simulation(truth, 3))
        requests.save(request, folder)
        return folder

    return session


def report(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["report", *words]) == 0
    return capsys.readouterr().out


def test_a_session_has_a_page(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make()
    said = report(capsys, str(folder))
    assert said.strip() == str(folder / "report.html")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    document = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    assert document["claim"], document["reasons"]
    for text in ("Tuning of app", "Better knobs found", "Imagined CPU", "exit code of true",
                 "The claim carries over to 1 of 1 other inputs", "hz3 verify", "app large",
                 "export HZ3_PACK_BESTFIT_K=", "[Service]", "--resume", "30 trials"):  # fmt: skip
        assert text in page.text, text
    assert page.count("section", "go") == 1
    assert page.count("rect", "bar") == len(document["importance"]) > 0
    assert document["cliffs"]
    assert page.count("line", "limit") >= len(document["cliffs"])
    shown = [each for each in document["configurations"] if each["knobs"]]
    values = sum(len(points) for points in document["curves"].values() if len(points) > 1)
    assert page.count("circle", "point") == len(shown) + 2 * values + 1
    assert page.count("path", "cross") == 1
    rules = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert str(rules[0]).startswith("default-src 'none'")
    assert not any({"src", "href"} & a.keys() for _, a in page.elements)


def test_text_and_markdown_carry_the_same(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make()
    text = report(capsys, str(folder / "tune.json"), "--format", "text")
    markdown = report(capsys, str(folder), "--format", "markdown", "--out", "-")
    for heading in HEADINGS:
        assert f"\n{heading}\n---" in text, heading
        assert f"\n## {heading}\n" in markdown, heading
    assert "fresh blocks say" in text
    assert "what was luck" in markdown
    data = json.loads(report(capsys, str(folder), "--json"))
    assert data == json.loads((folder / "tune.json").read_text(encoding="utf-8"))


def test_without_a_claim_nothing_is_recommended(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(sim.flat)
    text = report(capsys, str(folder), "--format", "text")
    assert "Nothing is claimed" in text
    assert "How to deploy" not in text
    report(capsys, str(folder))
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.count("section", "go") == 0
    assert "No claim" in page.text


def test_no_name_becomes_markup(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(name=HOSTILE)
    report(capsys, str(folder))
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.count("script") == 2
    assert page.count("img") == page.count("a") == 0
    assert HOSTILE in page.text
    markdown = report(capsys, str(folder), "--format", "markdown", "--out", "-")
    assert "<img" not in markdown


def _cut(document: dict[str, Any]) -> str:
    del document["configurations"]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "has not ended"),
        (lambda _: "{", "cannot read"),
        (_cut, "no result of a tuning session"),
    ],
)
def test_a_session_that_cannot_be_told_says_what_to_do(
    make: Make,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], str | None],
    message: str,
) -> None:
    folder = make()
    path = folder / "tune.json"
    text = change(json.loads(path.read_text(encoding="utf-8")))
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main(["report", str(folder)]) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "hz3 tune --resume" in line


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([196608, 1 << 24, 3 << 23, 1 << 28, 3 << 27, 1 << 29, 1 << 30], 3),
        ([0, 16, 128, 1000, 8192], 4),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], 5),
        ([7], 1),
        (["owner_stash", "transfer"], 2),
    ],
)
def test_ticks_of_a_knob_leave_room_for_their_words(values: list[int | str], words: int) -> None:
    places, ticks, found = knob_places(values)
    assert len(places) == len(values)
    assert words <= len(found) == len(ticks) <= 7
    steps = [after - before for before, after in pairwise(ticks)]
    assert all(step >= (places[-1] - places[0]) / 6 for step in steps)


PROBE = """<script>
document.body.dataset.overflow = String(document.documentElement.scrollWidth - innerWidth);
</script></body>"""


@needs_chromium
@pytest.mark.parametrize("width", [500, 1280])
def test_a_browser_shows_it(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    folder = make()
    report(capsys, str(folder))
    file = tmp_path / "probed.html"
    text = (folder / "report.html").read_text(encoding="utf-8")
    file.write_text(text.replace("</body>", PROBE), encoding="utf-8")
    dom = shown(file, width, tmp_path / "profile")
    body = next(a for tag, a in Page(dom).elements if tag == "body")
    assert int(str(body["data-overflow"])) <= 0, "the page is wider than the screen"
