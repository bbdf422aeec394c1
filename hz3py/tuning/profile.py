"""Profiles: the result of tuning as a TOML file. Data only; nothing in it is ever executed unasked.

`hz3 run` reads profiles, so this module imports little.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class Profile:
    """Knobs for one workload, and why they are to be believed.

    Attributes:
        name: Name of the workload.
        knobs: Knob to value.
        evidence: What was measured: ratios, intervals, blocks.
        machine: Where.
        workload: What, as `hz3py.tuning.task.Task.to_json` returned it; empty if unknown.
        date: When, ISO 8601.
        version: Of hz3.
    """

    name: str
    knobs: Mapping[str, int | str]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    workload: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""
    version: str = ""

    def settings(self) -> list[str]:
        """Return NAME=VALUE for every knob."""
        return [f"{name}={value}" for name, value in self.knobs.items()]


def read(path: Path | str) -> Profile:
    """Read a profile.

    Raises:
        UsageError: There is none, it is not TOML, or it is no profile.
    """
    from hz3py.errors import UsageError
    from hz3py.workloads import toml_file

    data = toml_file.read(path, "profile", "`hz3 tune` writes profiles")
    knobs = data.get("knobs")
    if data.get("kind") != "hz3-profile" or not isinstance(knobs, dict):
        raise UsageError(f"{path} is no profile of hz3", 'a profile says kind = "hz3-profile"')
    toml_file.check_schema(
        data, f"the profile {path}", SCHEMA, "it was written by another version of hz3"
    )
    for name, value in knobs.items():
        if not isinstance(value, (int, str)):
            raise UsageError(f"knob {name} of the profile {path} is {value!r}, not a plain value")
    workload = data.get("workload", {})
    try:
        task = json.loads(workload.get("task", "{}"))
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"the workload of the profile {path} is damaged: {error}") from error
    return Profile(
        name=str(data.get("name", "")),
        knobs={name: int(v) if isinstance(v, bool) else v for name, v in knobs.items()},
        evidence=data.get("evidence", {}),
        machine=data.get("machine", {}),
        workload=task,
        date=str(data.get("date", "")),
        version=str(data.get("version", "")),
    )


def text(profile: Profile) -> str:
    """Return the content of the file."""
    lines = [
        "# Knobs of hz3 for one workload, with the evidence for them. Data only.",
        "#   hz3 run --profile FILE -- PROGRAM     runs a program with these knobs",
        "#   hz3 env --profile FILE                prints the lines that deploy them",
        "#   hz3 verify FILE                       measures again whether they still pay",
        f"schema = {SCHEMA}",
        'kind = "hz3-profile"',
        f"name = {_toml(profile.name)}",
        f"date = {_toml(profile.date)}",
        f"version = {_toml(profile.version)}",
    ]
    task = {"task": json.dumps(profile.workload)} if profile.workload else {}
    tables: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("knobs", profile.knobs),
        ("evidence", profile.evidence),
        ("machine", profile.machine),
        ("workload", task),
    )
    for name, table in tables:
        if table or name == "knobs":
            lines += ["", f"[{name}]"]
            lines += [
                f"{key} = {_toml(value)}" for key, value in table.items() if value is not None
            ]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Write a value as TOML; JSON strings are TOML strings as well."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        return repr(round(value, 6)) if math.isfinite(value) else f"{'-' if value < 0 else ''}inf"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
