"""The report: one page that holds everything, loads nothing, and lets no name become markup."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_runs as runs
from browser import needs_chromium, shown

from hz3py.__main__ import main
from hz3py.store.records import VerdictRecord
from hz3py.store.results import Writer

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=http://evil/x onerror=alert(1)>",
    "\"><a href='https://evil/'>",
    "{{ 7*7 }}{% raw %}",
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Everything that the tests ask of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open[-1:] == ["script"] else self.texts).append(data)

    def handle_decl(self, decl: str) -> None:
        assert decl == "doctype html"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, tag: str, **attributes: str) -> int:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return sum(
            name == tag and all(found.get(key) == value for key, value in wanted.items())
            for name, found in self.elements
        )

    def data(self) -> Any:
        return json.loads(next(text for text in self.scripts if text.startswith("{")))


@pytest.fixture
def page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Page]:
    """Return a function that writes a run, makes its report and reads it."""

    def make(**run: Any) -> Page:
        folder = runs.write_run(tmp_path / "run", **run)
        assert main(["report", str(folder)]) == 0
        said = capsys.readouterr().out.strip()
        assert said == str(folder / "report.html")
        return Page(Path(said).read_text(encoding="utf-8"))

    return make


def test_every_row_and_allocator_is_there(page: Callable[..., Page]) -> None:
    found = page()
    assert not found.open
    for word in ("small", "large", "hz3", "system", "mine", "3.03 M ops/s", "Imagined CPU"):
        assert word in found.text
    cells = [tag for tag, attributes in found.elements if tag == "td" and "data-v" in attributes]
    assert len(cells) == 2 * 3 * 9
    assert found.count("rect", class_="bar") == 2 * 3
    assert found.count("circle", class_="dot") == 2 * 2 * 3 * 3
    assert found.count("path", class_="spread") == 2 * 3
    assert "hz3 is the fastest over 2 rows" in found.text
    assert "fastest in 2 of 2 (in 2 by more than the 95 % interval)" in found.text
    assert "a warning <b>of the start</b>" in found.text


def test_nothing_is_loaded(page: Callable[..., Page]) -> None:
    found = page(account=runs.ACCOUNT)
    for tag, attributes in found.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "xlink:href"} & attributes.keys(), tag
    rules = [a["content"] for _, a in found.elements if "http-equiv" in a]
    assert len(rules) == 1
    assert str(rules[0]).startswith("default-src 'none'")
    styles = next(text for text in found.texts if "prefers-color-scheme" in text)
    assert not re.search(r"url\(|@import|https?:", styles)
    assert not any(re.search(r"https?:|import\(|fetch\(", text) for text in found.scripts[1:])


def test_charts_can_be_read_aloud(page: Callable[..., Page]) -> None:
    found = page(account=runs.ACCOUNT)
    charts = [attributes for tag, attributes in found.elements if tag == "svg"]
    assert len(charts) > 6
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert found.count("desc") == len(charts)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(page: Callable[..., Page], name: str) -> None:
    found = page(
        rows=(name, "plain"),
        allocators=("hz3", "system", name),
        suite=name,
        argv=("bench", "--", name),
        detail=f"said {name}",
        command=name,
        account={**runs.ACCOUNT, "parts": {name: 5 << 20}, "knobs": {name: name}},
        marks=((name.replace(" ", "-"), 0.4),),
    )
    assert len(found.scripts) == 2
    assert found.count("script") == 2
    assert found.count("img") == found.count("a") == 0
    assert not any(key.startswith("on") for _, attributes in found.elements for key in attributes)
    assert " ".join(name.split()) in found.text
    assert f"said {' '.join(name.split())}" in found.text
    data = found.data()
    assert {sample["label"] for sample in data["samples"]} == {name, "plain"}
    assert data["plan"]["rows"][0]["command"] == name


def test_the_page_holds_its_data(page: Callable[..., Page]) -> None:
    data = page(detail="was killed").data()
    assert len(data["samples"]) == 2 * 3 * 3
    assert {sample["status"] for sample in data["samples"]} == {"ok", "crashed"}
    assert len(data["summary"]["rows"]) == 2 * 3
    assert len(data["curves"]) == 2 * 3 - 1
    assert data["summary"]["rows"][0]["rss_kb"]["mean"] == 1524.0


def test_json_is_the_data_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs.write_run(tmp_path / "run")
    assert main(["report", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert main(["report", str(folder)]) == 0
    assert Page((folder / "report.html").read_text()).data() == document
    assert document["schema"] == 1


def test_a_failed_arm_says_why(page: Callable[..., Page]) -> None:
    found = page(detail="was killed by SIGSEGV")
    assert "crashed: was killed by SIGSEGV" in found.text
    assert found.count("text", class_="alarm") == 1


def test_a_run_in_which_all_failed_is_told_too(page: Callable[..., Page]) -> None:
    found = page(rows=("one",), allocators=("mine",), detail="no luck")
    assert "No sample succeeded" in found.text
    assert "crashed: no luck" in found.text


def test_one_allocator_has_no_rival(page: Callable[..., Page]) -> None:
    assert "nothing to compare it with" in page(allocators=("hz3",), blocks=1).text


def test_what_cannot_be_told_apart_has_no_winner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs.write_run(tmp_path / "run", rows=("one",), allocators=("hz3", "system"))
    path = folder / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    speeds = iter((10.0, 9.0, 10.0, 11.5, 10.0, 9.2))
    for line in lines:
        if line["kind"] == "sample":
            line["sample"]["result"]["throughput"] = next(speeds)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["report", str(folder)]) == 0
    found = Page((folder / "report.html").read_text())
    assert "hz3 and system cannot be told apart in speed" in found.text
    assert "Speed level hz3 and system" in found.text
    assert "Fastest" not in found.text


def test_the_account_of_the_allocator_is_drawn(page: Callable[..., Page]) -> None:
    found = page(account=runs.ACCOUNT)
    for text in ("Where memory sits", "thread caches", "kernel's count", "1 234 567", "shards"):
        assert text in found.text
    assert found.count("rect", class_="part") == 2 * 3
    assert found.count("rect", class_="total") == 2 * 2


def test_a_run_about_memory_begins_with_memory(page: Callable[..., Page]) -> None:
    found = page(
        rows=("prog",),
        suite="rss-prog",
        marks=(("load", 0.2), ("serve", 0.6)),
        fixed_kb={"hz3": 1700.0, "system": 1500.0},
        watch={"idle_s": 1.0},
    )
    assert "Memory of prog" in found.text
    assert "hz3 holds the least memory on average" in found.text
    assert found.count("rect", class_="bar") == 0, "durations of programs we ended mean nothing"
    for text in ("prog: mean MiB", "serve", "heap, more than system", "empty program", "PSS"):
        assert text in found.text


@pytest.mark.parametrize("verdict", ["GO", "NO-GO", "EQUIVALENT", "UNDECIDED"])
def test_a_verdict_stands_on_top(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verdict: str
) -> None:
    folder = runs.write_run(tmp_path / "run")
    criterion = {
        "metric": "mean RSS", "workload": "small", "ratio": 0.88, "ci": [0.85, None],
        "margin": -0.1, "kind": "gain", "state": "better",
    }  # fmt: skip
    document = {"verdict": verdict, "criteria": [criterion], "blocks": 12}
    (folder / "verdict.json").write_text(json.dumps(document))
    assert main(["report", str(folder)]) == 0
    found = Page((folder / "report.html").read_text())
    assert found.count("section", class_=f"verdict {verdict.lower()}") == 1
    assert found.text.index(f"{verdict} after 12 blocks") < found.text.index("Over all rows")
    assert "is the fastest over" not in found.text, "only the verdict says who wins"
    assert "0.850 to -" in found.text
    for form in ("text", "markdown"):
        capsys.readouterr()
        assert main(["report", str(folder), "--format", form, "--out", "-"]) == 0
        said = capsys.readouterr().out
        assert said.index(verdict) < said.index("Summary")


def test_an_experiment_shows_its_own_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs.write_run(tmp_path / "run")
    entry = {
        "candidate": "mine", "metric": "throughput", "workload": "mean", "kind": "non-inferiority",
        "margin": 0.02, "claim": "not 2 % slower", "ratio": 0.9, "ci": [0.8, 1.1], "p": 0.3,
        "p_floor": 0.1, "confidence": 0.95, "state": "undecided", "met": None,
        "blocks_needed": 40,
    }  # fmt: skip
    candidate = {"name": "mine", "verdict": "UNDECIDED", "reasons": ["too few <i>blocks</i>"]}
    document = {
        "verdict": "UNDECIDED", "blocks": 3, "question": "Is <b>it</b>?",
        "candidates": [candidate], "criteria": [entry],
    }  # fmt: skip
    with Writer.resume(folder)[0] as writer:
        writer.append(VerdictRecord("r", "2026", document))
    assert main(["report", str(folder)]) == 0
    found = Page((folder / "report.html").read_text())
    assert found.count("section", class_="verdict undecided") == 1
    for text in ("Is <b>it</b>?", "too few <i>blocks</i>", "not 2 % slower", "~40 blocks"):
        assert text in found.text
    assert found.data()["verdict"] == document


def test_text_and_markdown_carry_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs.write_run(
        tmp_path / "run",
        account=runs.ACCOUNT,
        detail="broke | here",
        allocators=("hz3", "sys|tem", "<b>"),
    )
    assert main(["report", str(folder), "--format", "text"]) == 0
    text = capsys.readouterr().out
    assert main(["report", str(folder), "--format", "markdown"]) == 0
    said = capsys.readouterr().out.strip()
    markdown = Path(said).read_text()
    for heading in ("Summary", "Warnings", "Results", "Every block", "What backs the memory",
                    "At rest", "Where memory sits", "Knobs", "What ran", "Allocators",
                    "Machine"):  # fmt: skip
        assert f"\n{heading}\n---" in text, heading
        assert f"\n## {heading}\n" in markdown, heading
    assert "sys|tem" in text
    assert "sys\\|tem" in markdown
    assert "<b>" not in markdown
    assert "broke \\| here" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows if row.startswith("| **hz3**")}
    assert widths == {11}


def test_the_newest_run_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 2
    assert "there is no run in ./hz3-results" in capsys.readouterr().err
    old = runs.write_run(tmp_path / "hz3-results/b-old")
    new = runs.write_run(tmp_path / "hz3-results/a-new")
    os.utime(old / "records.jsonl", (1, 1))
    assert main(["report"]) == 0
    assert capsys.readouterr().out.strip() == "hz3-results/a-new/report.html"
    assert main(["report", str(old / "records.jsonl"), "--out", "here.html"]) == 0
    assert Path("here.html").exists()
    assert not (old / "report.html").exists()
    assert new.exists()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["absent"], (2, "cannot read absent/records.jsonl")),
        (["run", "--format", "pdf"], (2, "pdf")),
        (["run", "--format", "text", "--open"], (2, "--open needs a file")),
        (["run", "--out", "no/such/folder/x.html"], (5, "cannot write")),
    ],
)
def test_refusals_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    refusal: tuple[int, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    runs.write_run(tmp_path / "run", blocks=1)
    assert main(["report", *words]) == refusal[0]
    (line,) = capsys.readouterr().err.splitlines()
    assert refusal[1] in line


@pytest.mark.parametrize("text", ["{", "[]", '{"verdict": 3}'])
def test_a_damaged_verdict_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    folder = runs.write_run(tmp_path / "run", blocks=1)
    (folder / "verdict.json").write_text(text)
    assert main(["report", str(folder)]) == 5
    assert "verdict.json" in capsys.readouterr().err


USE = """
<script>
document.querySelectorAll("table.sortable thead button")[2].click();
document.querySelector("[data-toggle='1']").click();
document.body.dataset.overflow = String(document.documentElement.scrollWidth - innerWidth);
document.body.dataset.names = [...document.querySelectorAll("table.sortable tbody tr")]
  .map((row) => row.cells[1].textContent.trim()).join(" ");
</script></body>
"""


@needs_chromium
@pytest.mark.parametrize("width", [500, 1280])
def test_a_browser_shows_sorts_and_hides(tmp_path: Path, width: int) -> None:
    folder = runs.write_run(tmp_path / "run", account=runs.ACCOUNT, detail="broke")
    assert main(["report", str(folder)]) == 0
    file = tmp_path / "used.html"
    text = (folder / "report.html").read_text()
    file.write_text(text.replace("</body>", USE))
    text = shown(file, width, tmp_path / "profile")
    dom = Page(text.replace("<!DOCTYPE", "<!doctype"))
    body = next(attributes for tag, attributes in dom.elements if tag == "body")
    assert int(str(body["data-overflow"])) <= 0, "the page is wider than the screen"
    names = str(body["data-names"]).split()
    assert [name.removesuffix("crashed:") for name in names][:2] == ["hz3", "hz3"]
    assert dom.count("th", **{"aria-sort": "descending"}) == 1
    hidden = [a for _, a in dom.elements if "hidden" in str(a.get("class", "")).split()]
    assert hidden
    assert {attributes["data-a"] for attributes in hidden} == {"1"}
