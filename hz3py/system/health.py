"""Every check: what ``hz3 doctor`` looks at, and what may have gone wrong during a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hz3py.system import machine_checks, run_checks, setup_checks
from hz3py.system.finding import Finding, State
from hz3py.system.run_checks import distances_differ

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CHECKS = (
    setup_checks.check_preload,
    setup_checks.check_static_tls,
    setup_checks.check_launcher,
    setup_checks.check_peers,
    setup_checks.check_variables,
    machine_checks.check_cpus,
    machine_checks.check_core_distance,
    machine_checks.check_load,
    machine_checks.check_governor,
    machine_checks.check_steal,
    machine_checks.check_huge_pages,
    machine_checks.check_swap,
    machine_checks.check_memory_limit,
    machine_checks.check_overcommit,
    machine_checks.check_address_layout,
    machine_checks.check_disk,
    machine_checks.check_perf,
)


def check_all() -> list[Finding]:
    """Run every check; takes a fraction of a second and starts some small programs."""
    return [check() for check in CHECKS]


def check_run(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Finding]:
    """Compare two results of :func:`hz3py.system.machine.snapshot`; return what disturbed the run.

    Returns:
        Findings of state "warn"; none if the run was undisturbed.
    """
    return run_checks.check_run(before, after)


def disturbances(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what disturbed the machine while one sample was taken; none if it was quiet."""
    return run_checks.disturbances(before, after)


__all__ = [
    "CHECKS",
    "Finding",
    "State",
    "check_all",
    "check_run",
    "distances_differ",
    "disturbances",
]
