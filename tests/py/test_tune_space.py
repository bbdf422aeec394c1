"""The search space: what is proposed, what is left out, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import tune_simulation as sim

from hz3py.errors import UsageError
from hz3py.tuning.choose import build


class Fixed:
    """A trial that proposes what it is told to."""

    def __init__(self, **values: object) -> None:
        self.asked: list[str] = []
        self._values = values

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.asked.append(name)
        value = self._values.get(name, low)
        assert isinstance(value, int)
        return min(max(value, low), high)

    def suggest_categorical(self, name: str, choices: Sequence[object]) -> object:
        self.asked.append(name)
        return self._values.get(name, choices[0])


def test_knobs_without_effect_are_not_asked_for() -> None:
    trial = Fixed(remote_route="transfer", pack_bestfit_k=4)
    assert sim.SPACE.suggest(trial) == {}
    assert trial.asked == ["remote_route", "pack_bestfit_k"]
    trial = Fixed(
        remote_route="owner_stash", pack_bestfit_k=4, drain_limit=100, stash_max_objs=1024
    )
    assert sim.SPACE.suggest(trial) == {"drain_limit": 96, "remote_route": "owner_stash"}


def test_dropping_a_switch_drops_what_hangs_on_it() -> None:
    knobs: Mapping[str, int | str] = {"remote_route": "owner_stash", "drain_limit": 96}
    assert sim.SPACE.without(knobs, "remote_route") == {}
    assert sim.SPACE.without(knobs, "drain_limit") == {"remote_route": "owner_stash"}


def test_the_proposal_of_the_defaults_changes_nothing() -> None:
    everything = build(sim.TABLE, names=["all"])
    assert everything.suggest(Fixed(**everything.parameters({}))) == {}


def test_zero_is_a_mode_of_its_own_where_it_means_one() -> None:
    space = build(sim.TABLE, names=["purge_delay_ms"])
    assert space.suggest(Fixed(**{"purge_delay_ms=0": True})) == {"purge_delay_ms": 0}
    assert space.suggest(Fixed(**{"purge_delay_ms=0": False, "purge_delay_ms": 90})) == {
        "purge_delay_ms": 96
    }


def test_all_leaves_out_what_is_not_for_speed_and_takes_what_is_new() -> None:
    names = [dimension.name for dimension in build(sim.TABLE, names=["all"]).dimensions]
    assert "on_invalid_free" not in names
    assert "newcomer_bytes" in names
    assert names.index("remote_route") < names.index("drain_limit")


def test_a_fixed_switch_takes_its_dependents_out() -> None:
    names = ["pack_bestfit_k", "drain_limit", "stash_max_objs"]
    space = build(sim.TABLE, names=names, fixed={"remote_route": "transfer"})
    assert [dimension.name for dimension in space.dimensions] == ["pack_bestfit_k"]
    kept = build(sim.TABLE, names=names, fixed={"remote_route": "owner_stash"})
    assert kept.suggest(Fixed(pack_bestfit_k=4, drain_limit=62, stash_max_objs=1024)) == {
        "remote_route": "owner_stash"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["pack_bestfit"]}, "unknown knob 'pack_bestfit'"),
        ({"names": ["on_invalid_free"]}, "not for tuning"),
        ({"ranges": {"drain_limit": "90:10"}}, "range 90:10 of drain_limit is empty"),
        ({"ranges": {"drain_limit": "10"}}, "is not LO:HI"),
        ({"ranges": {"drain_limit": "0:10"}}, "0 is not possible for knob drain_limit"),
        ({"fixed": {"remote_route": "nowhere"}}, "has no choice 'nowhere'"),
        ({"fixed": {"drain_limit": "many"}}, "'many' is no value of knob drain_limit"),
        ({"names": ["drain_limit"], "fixed": {"remote_route": "transfer"}}, "nothing is left"),
        ({"fixed": {"shards": "1"}, "ranges": {"shards": "1:8"}}, "both fixed and given a range"),
    ],
)
def test_a_wrong_space_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(sim.TABLE, **options)  # type: ignore[arg-type]
