"""Statements in an order in which they can be run: what is needed first, else by rank. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from .objects import ObjectName

#: Where a node goes when nothing else decides: phase, group, place in the group, name, aspect.
Rank = tuple[int, str, int, str, int]


@dataclass(slots=True, eq=False)
class Node:
    """Statements of one object that stay together.

    Attributes:
        name: The object they belong to.
        statements: The statements, in order.
        rank: Its place among the nodes whose needs are met.
        needs: The nodes that come first.
    """

    name: ObjectName
    statements: list[str]
    rank: Rank
    needs: set[Node] = field(default_factory=set)


def ordered(nodes: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """Sort nodes so that each comes after what it needs; the lowest rank first.

    Returns:
        The nodes that could be sorted, and those that could not: nodes of cycles and what needs them.
    """
    waiting: dict[Node, int] = {}
    needed_by: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        needs = [need for need in node.needs if need is not node and need in needed_by]
        waiting[node] = len(needs)
        for need in needs:
            needed_by[need].append(node)
    numbers = {node: number for number, node in enumerate(nodes)}
    ready = [(node.rank, numbers[node], node) for node in nodes if not waiting[node]]
    heapq.heapify(ready)
    result = []
    while ready:
        node = heapq.heappop(ready)[2]
        result.append(node)
        for dependent in needed_by[node]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heapq.heappush(ready, (dependent.rank, numbers[dependent], dependent))
    return result, [node for node in nodes if waiting[node]]


def in_cycles(nodes: Sequence[Node]) -> list[Node]:
    """Of nodes that could not be sorted, those that need themselves, directly or through others."""
    left = dict.fromkeys(nodes)
    while True:
        needed = {need for node in left for need in node.needs if need in left and need is not node}
        leaves = [node for node in left if node not in needed]
        if not leaves:
            return list(left)
        for node in leaves:
            del left[node]
