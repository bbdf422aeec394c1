"""The order of samples: balanced by position, shuffled, the same for the same seed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hz3py.measure.blocks import arm_order, environment_offset, shuffled, williams_square

sizes = st.integers(1, 9)


@given(sizes)
def test_each_arm_is_at_each_position_once(size: int) -> None:
    square = williams_square(size)
    everyone = set(range(size))
    assert all(set(line) == everyone for line in square)
    assert all({line[place] for line in square} == everyone for place in range(size))


@given(st.integers(1, 5).map(lambda half: 2 * half))
def test_an_even_square_has_each_arm_after_each_other_once(size: int) -> None:
    after = Counter(
        (line[place], line[place + 1])
        for line in williams_square(size)
        for place in range(size - 1)
    )
    assert len(after) == size * (size - 1)
    assert set(after.values()) == {1}


@given(arms=sizes, rounds=st.integers(0, 4), seed=st.text(max_size=5))
def test_positions_are_balanced_over_as_many_blocks_as_arms(
    arms: int, rounds: int, seed: str
) -> None:
    blocks = range(rounds * arms, (rounds + 1) * arms)
    orders = [arm_order(arms, block, seed) for block in blocks]
    for place in range(arms):
        assert {order[place] for order in orders} == set(range(arms))


def test_the_order_depends_on_the_seed_and_on_nothing_else() -> None:
    assert [arm_order(5, block, "x") for block in range(10)] == [
        arm_order(5, block, "x") for block in range(10)
    ]
    seen = {tuple(arm_order(5, block, str(seed)) for block in range(5)) for seed in range(20)}
    assert len(seen) == 20
    assert shuffled("abcdef", "1") == shuffled("abcdef", "1")
    assert sorted(shuffled("abcdef", "1")) == list("abcdef")


@given(st.text())
def test_the_environment_grows_by_less_than_a_page(seed: str) -> None:
    assert 0 <= environment_offset(seed) < 4096
