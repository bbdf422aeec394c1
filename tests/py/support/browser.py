"""A page as a real browser shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def shown(file: Path, width: int, profile: Path) -> str:
    """Open `file` in a window of `width` pixels and return the document after its scripts ran.

    Skips where the browser does not start; fails if a script threw or something was to be loaded.
    """
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--user-data-dir={profile}", f"--window-size={width},900",
            "--enable-logging=stderr", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode != 0 or "</html>" not in done.stdout:
        pytest.skip(f"chromium does not run here: {done.stderr[-300:]}")
    assert "Uncaught" not in done.stderr
    assert "Refused to" not in done.stderr
    return done.stdout
