"""Unit tests of the allocator's inner parts, linked from its sources, on a double of the system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Programs

UNITS = sorted(path.stem for path in Path(__file__).with_name("units").glob("unit_*.cpp"))


@pytest.mark.parametrize("name", UNITS)
def test_unit(units: Programs, name: str) -> None:
    outcome = units.run(name, timeout_s=250).expect_success()
    assert outcome.out.splitlines()[-1].endswith(" tests, 0 failures")
