"""How far the CPUs of this machine are from each other, as of now.

Two threads that share memory pay for it by the time a cache line takes from one CPU to the other.
In a virtual machine this changes within minutes, when the host moves the virtual CPUs about; so it
is looked at before every sample.
"""

from __future__ import annotations

import json
import subprocess

from hz3py.errors import Hz3Error
from hz3py.resources import cores_path

_TIMEOUT_S = 1.0


def core_to_core_ns() -> float | None:
    """Return how long a cache line takes from one CPU to another and back, in nanoseconds.

    Takes about 2 ms on idle CPUs. The first CPU that this process may use is tried with up to three
    others; the longest way counts. ``None``: there is one CPU, another program kept one of those
    busy, or ``hz3-cores`` is not installed.
    """
    try:
        process = subprocess.run(
            [str(cores_path())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        ways = [pair["trip_ns"] for pair in json.loads(process.stdout)["pairs"]]
        # The longest of some would be another figure each time.
        return None if None in ways else max((float(way) for way in ways), default=None)
    except (Hz3Error, subprocess.SubprocessError, OSError):
        return None
    except (ValueError, KeyError, TypeError):  # something else in its place
        return None
