"""Real programs under the preloaded library: the same output, files and status as without.

Each ``scripts/*.sh`` is one program, run by bash in an empty folder. Its second line says which
commands it needs; it is skipped only where one of them is not installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Outcome, Preload

SCRIPTS = Path(__file__).resolve().parent / "scripts"
PROGRAMS = sorted(path.stem for path in SCRIPTS.glob("*.sh"))


def needs(script: Path) -> list[str]:
    first = script.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# needs: "), script
    return first.removeprefix("# needs: ").split()


def run_script(preload: Preload, script: Path, folder: Path) -> Outcome:
    """Run `script` in `folder`, which is made anew: some programs write its name into files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    env = {"LC_ALL": "C", "SCRIPTS": str(SCRIPTS), "TMPDIR": str(folder)}
    return preload.run("bash", "-euo", "pipefail", script, env=env, timeout_s=120, cwd=folder)


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_output_as_without(
    preload: Preload, plain: Preload, tmp_path: Path, name: str
) -> None:
    script = SCRIPTS / f"{name}.sh"
    missing = [command for command in needs(script) if shutil.which(command) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    theirs = run_script(plain, script, tmp_path / "work").expect_success()
    ours = run_script(preload, script, tmp_path / "work").expect_success()
    assert ours.out == theirs.out
    assert "hz3:" not in ours.err


@pytest.mark.usefixtures("hz3_only")
def test_the_library_is_really_there(preload: Preload) -> None:
    outcome = preload.run("bash", "-c", "grep -c libhz3.so /proc/$$/maps")
    assert int(outcome.expect_success().out) > 0
