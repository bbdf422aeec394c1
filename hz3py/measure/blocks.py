"""The order of samples: blocks in which every arm runs once, balanced and shuffled.

Inside a block the allocators of one row run one after the other, so that a slow change of the
machine hits all of them alike. Who runs first, second, ... follows a Williams square: over as many
blocks as there are allocators each one has been at every position once (and, for an even number,
has followed every other one once). Which line of the square is used when, and the order of rows
inside a block, is shuffled by the seed of the run.

Source: E. J. Williams, "Experimental designs balanced for the estimation of residual effects of
treatments", 1949.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def williams_square(size: int) -> list[tuple[int, ...]]:
    """Return `size` orders of 0 .. size-1 in which each number is at each position once.

    Args:
        size: Number of arms, at least 1.
    """
    first = [0]
    for step in range(1, size):
        first.append((step + 1) // 2 if step % 2 else size - step // 2)
    return [tuple((number + shift) % size for number in first) for shift in range(size)]


def arm_order(arms: int, block: int, seed: str) -> tuple[int, ...]:
    """Return the order in which the arms of one row run in one block.

    Args:
        arms: Number of arms, at least 1.
        block: Number of the block, from 0.
        seed: Any text; the same text gives the same order.
    """
    round_number, line = divmod(block, arms)
    generator = random.Random(f"{seed}/{round_number}")
    names = list(range(arms))
    generator.shuffle(names)
    lines = williams_square(arms)
    generator.shuffle(lines)
    return tuple(names[number] for number in lines[line])


def shuffled(items: Sequence[T], seed: str) -> list[T]:
    """Return the items in an order that depends on `seed` alone."""
    order = list(items)
    random.Random(seed).shuffle(order)
    return order


def environment_offset(seed: str) -> int:
    """Return a number of bytes, 0 to 4095, by which to enlarge the environment of a sample.

    The size of the environment moves the stack; a fixed size would favour one allocator by chance
    (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009).
    """
    return random.Random(f"{seed}/offset").randrange(4096)
