"""In which orders messages can arrive."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, permutations, product

Arrivals = tuple[tuple[str, ...], ...]


def arrivals(sent: Mapping[str, int]) -> list[Arrivals]:
    """Return all ways in which messages can arrive: for each step of a life, those that come after it, in their order.

    :param sent: in which step each message is sent, from 0; it arrives after that one or after any later one
    """
    steps = max(sent.values()) + 1
    all_ways = product(*(range(step, steps) for step in sent.values()))
    return list(chain.from_iterable(_orders([_in(step, sent, way) for step in range(steps)]) for way in all_ways))


def _in(step: int, sent: Mapping[str, int], arrived: tuple[int, ...]) -> list[str]:
    return [name for name, each in zip(sent, arrived, strict=True) if each == step]


def _orders(steps: list[list[str]]) -> product[Arrivals]:
    return product(*(permutations(names) for names in steps))
