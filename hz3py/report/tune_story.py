"""A tuning session as a story: what may be claimed, how sure it is, and what the search has learnt.

Made from tune.json alone. The same parts, in the same order, make the report as HTML, as Markdown
and on a terminal.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.report import facts, numbers
from hz3py.report.story import Part
from hz3py.report.text import Column, Line, Section, Style, Table
from hz3py.report.verdict import change

Document = Mapping[str, Any]
Lines = Mapping[str, Sequence[str]]

NOTHING = "Nothing is claimed: no configuration is shown to be better than the defaults."
_STATES: dict[Any, str] = {True: "met", False: "not met", None: "undecided"}
_SEARCHED = "Figures of the search, which nothing is claimed from: ratios to the defaults."


def title(document: Document) -> str:
    """Return what was tuned, in few words."""
    return f"Tuning of {document['workload']}"


def parts(document: Document, deploy: Lines | None = None, folder: str = "") -> list[Part]:
    """Return the parts of a report in order; those that have nothing to say are left out.

    Args:
        document: Content of tune.json.
        deploy: The lines that deploy the profile, by where they go.
        folder: The folder of the session, for commands.
    """
    found = [
        Part("claim", "Claim", tuple(claim(document)), _criteria(document)),
        Part("asked", "What was tuned", (), _asked(document)),
        Part("finalists", "Finalists, measured again", _FINALISTS, _finalists(document)),
        Part("changes", "Which changes matter", _CHANGES, _changes(document)),
        Part("elsewhere", "Other inputs", tuple(_elsewhere(document)), _transfer(document)),
        Part("importance", "Importance of knobs", _IMPORTANCE, _importance(document)),
        Part("response", "Response to each knob", (_SEARCHED, *_CURVES), _response(document)),
        Part("cliffs", "Cliffs", _CLIFFS, _cliffs(document)),
        Part("front", "Front of throughput against memory", _FRONT, _front(document)),
        Part("trials", "Trials", (_SEARCHED,), _trials(document)),
        Part("deploy", "How to deploy", (), _deploy(document, deploy or {})),
        Part("repeat", "How to repeat it", (), _repeat(document, folder)),
        Part("machine", "Machine", (), facts.machine_table(document["machine"])),
    ]
    return [part for part in found if part.table is not None or part.key == "claim"]


_FINALISTS = (
    "A search picks what looked best, and what looked best was also lucky: fresh blocks beside the "
    "defaults say how much of its estimate is left. The objective as a change against the "
    "defaults; below zero is better. The one in bold went on to the blocks that carry the claim: "
    "its gain is not always the largest, but the most can probably be shown of it.",
)
_CHANGES = ("What the objective loses if one changed knob goes back to its default.",)
_IMPORTANCE = ("How much of the objective each knob decides over all trials.",)
_CURVES = ("Means over all configurations with that value.",)
_CLIFFS = ("Neighbouring values between which throughput changes by more than 5 %.",)
_FRONT = ("Configurations that none beats in both; found by the search, not confirmed.",)


def claim(document: Document) -> list[str]:
    """Return what may be claimed, in a few sentences."""
    trials = numbers.plural(int(document["trials"]), "trial")
    ended = f"The search measured {trials} and ended because {document['ended']}."
    if document["verdict"] is None:
        return ["This worker has only searched; another one confirms.", ended]
    blocks = numbers.plural(int(document["confirm_blocks"]), "fresh block")
    if document["claim"]:
        told = [
            f"Better knobs found: {words(document['knobs'])}.",
            f"Resident memory {_with_bounds(document['rss_ratio'], document['rss_ci'])}, "
            f"throughput {_with_bounds(document['throughput_ratio'], document['throughput_ci'])} "
            f"against the defaults, from {blocks} that the search has not seen.",
        ]
    else:
        told = [NOTHING, *(f"{reason}." for reason in document["reasons"])]
    searched, confirmed = document["searched_ratio"], document["confirmed_ratio"]
    if searched is not None and confirmed is not None:
        told.append(
            f"The search itself had said {change(searched)}; fresh blocks say {change(confirmed)}."
        )
    return [*told, *_sentence(document["carries_over"]), ended]


def _sentence(text: str) -> list[str]:
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def words(knobs: Mapping[str, Any]) -> str:
    """Write a configuration as words."""
    return " ".join(f"{name}={value}" for name, value in knobs.items()) or "the defaults"


def _with_bounds(ratio: float | None, bounds: Sequence[float] | None) -> str:
    return f"{change(ratio)} ({_interval(bounds)})" if bounds else change(ratio)


def _interval(bounds: Sequence[float] | None) -> str:
    return f"{change(bounds[0])} to {change(bounds[1])}" if bounds else numbers.UNKNOWN


def _table(columns: Sequence[Column], lines: Sequence[Line]) -> Table | None:
    return Table(tuple(columns), (Section("", tuple(lines)),)) if lines else None


def _text(name: str) -> Column:
    return Column(name, number=False)


def _criteria(document: Document) -> Table | None:
    columns = (_text("goal or guard"), Column("change"), Column("interval"), _text("state"))
    lines = [
        Line(
            (each["claim"], change(each["ratio"]), _interval(each["ci"]), _STATES[each["met"]]),
            _style(each["met"]),
        )
        for each in document["criteria"]
    ]
    for each in document["guards"]:
        name = f"{each['name']} at most {100 * each['limit']:+g} %"
        kept = {"kept": True, "broken": False}.get(each["state"])
        cells = (name, change(each["ratio"]), _interval(each["ci"]), str(each["state"]))
        lines.append(Line(cells, _style(kept)))
    check = document["request"]["task"]["check"]
    if check and document["criteria"]:
        lines.append(Line((f"exit code of {shlex.join(check)}", "", "", "kept")))
    return _table(columns, lines)


def _style(met: bool | None) -> Style:
    return "failed" if met is False else ""


def _asked(document: Document) -> Table | None:
    request = document["request"]
    task = request["task"]
    server = task["server"]
    guards = [f"{each['pattern']} {100 * each['limit']:+g} %" for each in task["guards"]]
    pairs = [
        *(("program", _command(row)) for row in task["rows"]),
        ("client", shlex.join(server["client"]) if server else ""),
        ("objective", _OBJECTIVES.get(task["objective"], str(task["objective"]))),
        ("memory figure", str(task["rss"])),
        ("speed", _speed(task)),
        ("guard on throughput", f"-{100 * task['throughput_margin']:g} %"),
        *(("guard", text) for text in guards),
        ("check", shlex.join(task["check"])),
        *(("knob", str(each["values"])) for each in request["knobs"]),
        ("fixed", words(request["fixed"]) if request["fixed"] else ""),
        ("budget", _budget(request)),
        ("search ended because", str(document["ended"])),
        ("noise of one block", _noise(document["noise"])),
        ("when", str(request["time"])[:16].replace("T", " ")),
        ("hz3", str(request["version"])),
    ]
    columns = (_text(""), _text(""))
    return _table(columns, [Line((name, text)) for name, text in pairs if text])


_OBJECTIVES = {
    "rss": "less resident memory",
    "throughput": "more throughput",
    "pareto": "both: less resident memory, more throughput",
}


def _command(row: Mapping[str, Any]) -> str:
    return shlex.join([str(row["command"] or row["workload"]), *map(str, row["args"])])


def _speed(task: Mapping[str, Any]) -> str:
    if task["metric_regex"] is None:
        return "what the workload reports, else the wall time"
    lower = ", a small figure is good" if task["lower_is_better"] else ""
    return f"{task['metric_regex']} in the output{lower}"


def _budget(request: Mapping[str, Any]) -> str:
    limits = [
        numbers.plural(int(request["trials"]), "trial") if request["trials"] else "",
        f"{request['minutes']:g} min" if request["minutes"] else "",
    ]
    return f"{' or '.join(filter(None, limits))}, {request['blocks']} blocks per trial"


def _noise(noise: float | None) -> str:
    return "" if noise is None else f"{100 * noise:.1f} % (the defaults against themselves)"


def _finalists(document: Document) -> Table | None:
    columns = (
        Column("search said"),
        Column("fresh blocks say"),
        Column("interval"),
        Column("what was luck"),
        _text("configuration"),
    )
    lines = []
    for each in document["finalists"]:
        searched, measured = each["searched_ratio"], each["measured_ratio"]
        known = searched is not None and measured is not None
        lines.append(
            Line(
                (
                    change(searched),
                    change(measured) if measured is not None else "failed",
                    _interval(each["measured_ci"]),
                    f"{100 * (measured - searched):+.1f} points" if known else "",
                    words(each["knobs"]),
                ),
                "best" if each.get("chosen") else "",
            )
        )
    return _table(columns, lines)


def _changes(document: Document) -> Table | None:
    columns = (_text("changed knob"), Column("without it"), Column("interval"), _text(""))
    lines = [
        Line(
            (
                str(each["knob"]),
                change(each["loss_ratio"]),
                _interval(each["loss_ci"]),
                "kept" if each["kept"] else "dropped: it does not matter",
            )
        )
        for each in document["changes"]
    ]
    return _table(columns, lines)


def _elsewhere(document: Document) -> list[str]:
    return [*_sentence(document["carries_over"]), "Not part of the claim; the same goals apply."]


def _transfer(document: Document) -> Table | None:
    columns = (_text("input"), _text("claim"), Column("memory"), Column("throughput"))
    lines = []
    for each in document["transfer"]:
        name, answer = str(each["workload"]), str(each["answer"])
        style: Style = "failed" if answer == "fails" else ""
        if each["failure"]:
            lines.append(Line((name, answer, str(each["failure"])), style))
            continue
        rss = _with_bounds(each["rss_ratio"], each["rss_ci"])
        speed = _with_bounds(each["throughput_ratio"], each["throughput_ci"])
        lines.append(Line((name, answer, rss, speed), style))
    return _table(columns, lines)


def _importance(document: Document) -> Table | None:
    ranked = sorted(document["importance"].items(), key=lambda pair: -pair[1])
    lines = [Line((name, f"{100 * value:.0f} %")) for name, value in ranked]
    return _table((_text("knob"), Column("share")), lines)


def _response(document: Document) -> Table | None:
    columns = (_text("value"), Column("configurations"), Column("memory"), Column("throughput"))
    sections = tuple(
        Section(
            name,
            tuple(
                Line(
                    (
                        str(point["value"]),
                        str(point["trials"]),
                        change(point["rss"]),
                        change(point["throughput"]),
                    )
                )
                for point in points
            ),
        )
        for name, points in document["curves"].items()
        if len(points) > 1
    )
    return Table(columns, sections) if sections else None


def _cliffs(document: Document) -> Table | None:
    columns = (_text("knob"), Column("from"), Column("to"), Column("throughput"))
    lines = [
        Line((each["knob"], str(each["below"]), str(each["above"]), change(each["change"])))
        for each in document["cliffs"]
    ]
    return _table(columns, lines)


def _front(document: Document) -> Table | None:
    best = [each for each in document["configurations"] if each["front"]]
    best.sort(key=lambda each: each["rss_ratio"])
    columns = (Column("memory"), Column("throughput"), _text("guards"), _text("configuration"))
    lines = [
        Line(
            (
                change(each["rss_ratio"]),
                change(each["throughput_ratio"]),
                "kept" if each["guards_kept"] else "broken",
                words(each["knobs"]),
            )
        )
        for each in best
    ]
    return _table(columns, lines)


def _trials(document: Document) -> Table | None:
    columns = (
        Column("trial"),
        Column("blocks"),
        Column("memory"),
        Column("throughput"),
        _text("guards"),
        _text("configuration"),
    )
    lines = []
    for each in sorted(document["configurations"], key=lambda item: int(item["trial"])):
        number, blocks = str(int(each["trial"]) + 1), str(each["blocks"])
        knobs = words(each["knobs"])
        if each["failure"]:
            cells = (number, blocks, "", "", "failed", f"{knobs}: {each['failure']}")
            lines.append(Line(cells, "failed"))
            continue
        guards = "kept" if each["guards_kept"] else f"broken: {', '.join(each['broken'])}"
        figures = (change(each["rss_ratio"]), change(each["throughput_ratio"]))
        lines.append(Line((number, blocks, *figures, guards, knobs)))
    return _table(columns, lines)


def _deploy(document: Document, lines: Lines) -> Table | None:
    if not document["claim"]:
        return None
    profile = shlex.quote(str(document["profile"]))
    first = [
        ("run a program with it", [f"hz3 run --profile {profile} -- PROGRAM"]),
        ("measure again", [f"hz3 verify {profile}"]),
    ]
    deployed = [
        (f"hz3 env --profile {profile} --format {name}", told) for name, told in lines.items()
    ]
    return _commands([*first, *deployed])


def _repeat(document: Document, folder: str) -> Table | None:
    argv = [str(word) for word in document["request"]["argv"]]
    told = []
    if argv[:1] == ["tune"]:
        seed = [] if "--seed" in argv else ["--seed", str(document["request"]["seed"])]
        again = ["hz3", "tune", *seed, *_without_folder(argv[1:])]
        told.append(("the same again", [shlex.join(again)]))
    if folder:
        told.append(("more trials", [f"hz3 tune --resume {shlex.quote(folder)} --trials N"]))
    return _commands(told) if told else None


def _without_folder(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line without --out: that folder is taken."""
    own = argv.index("--") if "--" in argv else len(argv)
    kept = [
        word
        for place, word in enumerate(argv[:own])
        if not word.startswith("--out") and (place == 0 or argv[place - 1] != "--out")
    ]
    return [*kept, *argv[own:]]


def _commands(groups: Sequence[tuple[str, Sequence[str]]]) -> Table:
    sections = tuple(
        Section(heading, tuple(Line((text,)) for text in lines)) for heading, lines in groups
    )
    return Table((_text(""),), sections)
