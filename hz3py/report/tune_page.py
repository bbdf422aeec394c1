"""The report of a tuning session as one HTML file that needs nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from hz3py.report import numbers, page, tune_charts, tune_story
from hz3py.report.tune_story import Document, Lines
from hz3py.report.verdict import change


def render(document: Document, deploy: Lines | None = None, folder: str = "") -> str:
    """Return the report as HTML.

    Names and texts of the session are escaped; the page forbids itself to load anything.

    Args:
        document: Content of tune.json.
        deploy: The lines that deploy the profile, by where they go.
        folder: The folder of the session, for commands.
    """
    request: Mapping[str, Any] = document["request"]
    argv = [str(word) for word in request["argv"]]
    heading = tune_story.title(document)
    return page.template("tune.html.j2").render(
        title=f"hz3 report: {heading}",
        heading=heading,
        command=shlex.join(["hz3", *argv]) if argv[:1] == ["tune"] else "",
        when=str(request["time"])[:10],
        version=request["version"],
        machine={key: document["machine"].get(key) for key in ("cpu", "cpus", "system")},
        parts={part.key: part for part in tune_story.parts(document, deploy, folder)},
        verdict=_verdict(document),
        verdict_class="go" if document["claim"] else "undecided",
        cards=_cards(document),
        colours=page.grounds(tune_charts.COLOURS),
        numbering={},
        charts=tune_charts,
        front=tune_charts.front(document),
        bars=tune_charts.importance(document),
        responses=tune_charts.responses(document),
        data=dict(document),
    )


def _verdict(document: Document) -> str:
    if document["verdict"] is None:
        return "Search only"
    return "Better knobs found" if document["claim"] else "No claim"


def _cards(document: Document) -> list[tuple[str, str, str]]:
    """The figures at the top: what, how much, and how sure."""
    cards = []
    for what, key in (("Resident memory", "rss"), ("Throughput", "throughput")):
        bounds = document[f"{key}_ci"]
        if bounds:
            sure = f"{change(bounds[0])} to {change(bounds[1])}"
            cards.append((what, change(document[f"{key}_ratio"]), sure))
    cards.append(("Trials", str(document["trials"]), str(document["ended"])))
    if document["confirm_blocks"]:
        planned = "that the search has not seen"
        cards.append(("Fresh blocks", str(document["confirm_blocks"]), planned))
    if document["noise"] is not None:
        cards.append(
            (
                "Noise",
                f"{100 * document['noise']:.1f} %",
                "of one block, defaults against themselves",
            )
        )
    if document["transfer"]:
        held = sum(each["answer"] == "holds" for each in document["transfer"])
        total = numbers.plural(len(document["transfer"]), "other input")
        cards.append(("Carries over", f"{held} of {total}", "not part of the claim"))
    return cards
