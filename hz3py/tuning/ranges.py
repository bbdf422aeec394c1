"""What a search may vary: ranges of knobs, groups of them, and which knob needs which other one.

Ranges here are narrower than what the allocator accepts: values beyond them have never been worth
a trial. A knob that these tables do not know (a newer one) takes its range from the knob table.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

Value: TypeAlias = "int | str"

DEFAULT_KNOBS = (
    "purge_delay_ms",
    "purge_budget_bytes",
    "large_return_rate",
    "thread_cache_bytes",
    "bin_bytes",
    "pack_bestfit_k",
    "drain_limit",
    "stash_max_objs",
)
"""Where free memory waits: in the page heap, as large blocks, in caches of threads, half used."""

HUNCHES: tuple[dict[str, int], ...] = (
    {"purge_delay_ms": 128, "purge_budget_bytes": 1 << 28},
    {"purge_delay_ms": 16, "purge_budget_bytes": 1 << 28, "large_return_rate": 1 << 30},
    {"thread_cache_bytes": 1 << 20, "bin_bytes": 1 << 16},
    {"large_return_rate": 1 << 30},
)
"""What has saved memory before: tried before any search, as far as its knobs may vary."""

GROUPS: dict[str, tuple[str, ...]] = {
    "cache": (
        "thread_cache_bytes",
        "bin_bytes",
        "bin_blocks",
        "bin_long_bytes",
        "bin_calm_bytes",
        "epoch_events",
        "epoch_ms",
        "decay_percent",
        "decay_idle_ticks",
    ),
    "remote": ("remote_route", "drain_limit", "stash_max_objs", "stash_spill"),
    "transfer": ("transfer_slots", "transfer_bytes"),
    "pack": (
        "pack_bestfit_k",
        "pack_tries",
        "active_set_k",
        "quarantine",
        "quarantine_ttl_ms",
    ),
    "large": (
        "large_cache_soft",
        "large_madvise",
        "large_return_rate",
        "large_stitch",
        "huge_pages",
    ),
    "purge": (
        "purge_delay_ms",
        "purge_budget_bytes",
        "purge_collapse",
        "retention_frozen_percent",
        "retention_debt_bytes",
        "retention_subrelease",
    ),
    "pools": ("shards",),
}

RANGES: dict[str, tuple[int, int]] = {
    "shards": (1, 64),
    "thread_cache_bytes": (1 << 18, 1 << 26),
    "bin_bytes": (1 << 14, 1 << 22),
    "bin_blocks": (8, 511),
    "bin_long_bytes": (1 << 12, 1 << 20),
    "bin_calm_bytes": (1 << 14, 1 << 22),
    "drain_limit": (4, 1024),
    "stash_max_objs": (16, 16384),
    "transfer_slots": (4, 1024),
    "transfer_bytes": (1 << 16, 1 << 26),
    "pack_tries": (1, 256),
    "pack_bestfit_k": (0, 16),
    "large_cache_soft": (1 << 20, 1 << 32),
    "large_return_rate": (1 << 20, 1 << 30),
    "purge_delay_ms": (10, 10_000),
    "purge_budget_bytes": (1 << 16, 1 << 30),
    "epoch_events": (16, 16384),
    "epoch_ms": (1, 10_000),
    "decay_percent": (0, 100),
    "decay_idle_ticks": (1, 32),
    "active_set_k": (0, 8),
    "quarantine": (1, 64),
    "quarantine_ttl_ms": (10, 10_000),
    "retention_frozen_percent": (10, 400),
    "retention_debt_bytes": (1 << 20, 1 << 30),
    "large_cache_hard": (1 << 20, 1 << 33),
}

ZERO_IS_SPECIAL = frozenset(
    {
        "shards",
        "transfer_slots",
        "large_cache_soft",
        "purge_delay_ms",
        "quarantine",
        "retention_frozen_percent",
        "retention_debt_bytes",
    }
)
"""Zero is a mode of its own here (off, automatic, at once), far from the smallest other value."""

NEEDS: dict[str, tuple[str, Value | None]] = {
    "drain_limit": ("remote_route", "owner_stash"),
    "stash_max_objs": ("remote_route", "owner_stash"),
    "stash_spill": ("remote_route", "owner_stash"),
    "quarantine_ttl_ms": ("quarantine", None),
}
"""A knob that is read only while another one has this value; None stands for all but 0."""

_NOT_FOR_SPEED = frozenset({"arena_bytes", "on_invalid_free", "reclaim_budget_pages"})
_NOT_FOR_SPEED_PREFIXES = (
    "observe",
    "live",
    "exit",
    "fault",
    "log",
    "trace",
    "check",
    "guard",
    "sample",
)
"""Knobs of safety and of diagnosis: no search may trade them for speed."""


WIDE = 32
"""From this ratio of the ends on, a range is searched on a logarithmic scale."""


class KnobInfo(Protocol):
    """What the search has to know of a knob; `hz3py.native.KnobInfo` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def min(self) -> int: ...  # noqa: D102
    @property
    def max(self) -> int: ...  # noqa: D102
    @property
    def choices(self) -> list[str]: ...  # noqa: D102
    @property
    def default(self) -> int | bool | str: ...  # noqa: D102


def tunable(info: KnobInfo) -> bool:
    """Whether a search may vary this knob."""
    is_safe = info.name in _NOT_FOR_SPEED or info.name.startswith(_NOT_FOR_SPEED_PREFIXES)
    return not is_safe and info.type in ("int", "bytes", "bool", "choice")


def allows(value: Value, needed: Value | None) -> bool:
    """Whether a knob with this value makes those that need it mean something."""
    return value != 0 if needed is None else value == needed
