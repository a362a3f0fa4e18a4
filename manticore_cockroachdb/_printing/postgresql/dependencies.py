"""What needs what, by pg_depend; and how circles are broken. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ...errors import RehearsalRefused
from ..names import Row
from ..objects import Kind
from ..ordering import Node, in_cycles, ordered
from .assembly import ROUTINES, Assembly, Phase, Place
from .words import column_definition


class Unprintable(RehearsalRefused):
    """A schema whose objects need each other in a way that no order of statements can make."""


def reach_members(assembly: Assembly) -> None:
    """Types lead to what makes them, and what an extension made leads to the extension."""
    for row in assembly.rows["members"]:
        made = assembly.at.get(("pg_extension", row["extension"]))
        if made is not None:
            assembly.at.setdefault((row["class"], row["oid"]), made)
    pending = list(assembly.rows["types"])
    for _ in range(2):  # An array of a multirange leads there in two steps.
        for row in pending:
            address = ("pg_type", row["oid"])
            for source in (
                ("pg_class", row["relation"]),
                ("pg_type", row["element"]),
                ("pg_type", row["range"]),
            ):
                if address not in assembly.at and source in assembly.at:
                    assembly.at[address] = assembly.at[source]


def depend(assembly: Assembly) -> None:
    """Give each node what it needs, by pg_depend."""
    partitions = {oid: row for oid, row in assembly.relations.items() if row["is_partition"]}
    sequences = {row["oid"] for row in assembly.rows["sequences"]}
    for row in assembly.rows["dependencies"]:
        node = assembly.at.get((row["class"], row["oid"]))
        need = assembly.at.get((row["ref_class"], row["ref_oid"]))
        if node is None or need is None or node is need:
            continue
        if row["type"] == "a" and row["class"] == row["ref_class"] == "pg_class":
            # The bonds of a sequence and of a partition are separate statements.
            parents = partitions.get(row["oid"], {}).get("parents", ())
            if row["oid"] in sequences or row["ref_oid"] in parents:
                continue
        node.needs.add(need)
    _calling_last(assembly)
    _fill_in_order(assembly)


def _fill_in_order(assembly: Assembly) -> None:
    """A materialized view is filled after those that it reads, directly or through other objects."""
    for made, refresh in assembly.refreshes.items():
        seen, pending = {made}, [made]
        while pending:
            for need in pending.pop().needs - seen:
                seen.add(need)
                pending.append(need)
        refresh.needs |= {assembly.refreshes[each] for each in seen & assembly.refreshes.keys()}


def _calling_last(assembly: Assembly) -> None:
    """What calls a function when it is made comes late: that function's body may need anything."""
    routines = {kind.value for kind in (*ROUTINES.values(), Kind.AGGREGATE)}
    late = {Kind.CONSTRAINT.value, Kind.INDEX.value}
    for node in assembly.nodes:
        if (
            node.name.kind in late
            and node.rank[0] in (Phase.TABLE, Phase.VIEW)
            and any(need.name.kind in routines for need in node.needs)
        ):
            node.rank = (Phase.CALLING, *node.rank[1:])


def in_order(assembly: Assembly) -> list[Node]:
    """The nodes in an order that can be run.

    Raises:
        Unprintable: There is none.
    """
    done, left = ordered(assembly.nodes)
    while left:
        cycle = in_cycles(left)
        if not _break(assembly, cycle):
            names = ", ".join(sorted({str(node.name) for node in cycle}))
            raise Unprintable(
                f"The schema cannot be printed: these objects need each other: {names}. Remove one "
                "of the dependencies, or report this as a bug."
            )
        done, left = ordered(assembly.nodes)
    return done


def _break(assembly: Assembly, cycle: Sequence[Node]) -> bool:
    """Take one object of a cycle apart; False if none can be."""
    nodes = set(cycle)
    for oid, row in assembly.relations.items():
        node = assembly.at["pg_class", oid]
        if node not in nodes:
            continue
        if row["kind"] in ("r", "p") and _move_defaults(assembly, row, node, nodes):
            return True
        if row["kind"] == "v" and oid not in assembly.stubs:
            _make_stub(assembly, row, node)
            return True
    return False


def _move_defaults(assembly: Assembly, row: Row, node: Node, cycle: set[Node]) -> bool:
    """Set defaults that need something of the cycle after the table is assembly."""
    columns = {
        column["default_oid"]: column
        for column in assembly.columns[row["oid"]]
        if column["default_oid"] is not None and not column["generated"]
    }
    moved: dict[int, set[Node]] = defaultdict(set)
    others: set[Node] = set()
    for each in assembly.rows["dependencies"]:
        need = assembly.at.get((each["ref_class"], each["ref_oid"]))
        if need not in cycle or assembly.at.get((each["class"], each["oid"])) is not node:
            continue
        if each["class"] == "pg_attrdef" and each["oid"] in columns and need is not node:
            moved[each["oid"]].add(need)
        else:
            others.add(need)
    if not moved:
        return False
    rank = (*node.rank[:2], Place.CONSTRAINT, "", 0)
    for oid, needs in moved.items():
        column = columns[oid]
        statement = (
            f"ALTER TABLE ONLY {row['name']} ALTER COLUMN {column['name']} "
            f"SET DEFAULT {column['default']}"
        )
        later = Node(node.name, [statement], rank)
        later.needs |= {node, *needs}
        assembly.nodes.append(later)
        before = column_definition(column, row, None)
        after = column_definition(column, row, None, with_default=False)
        node.statements[0] = node.statements[0].replace(before, after, 1)
    node.needs -= set().union(*moved.values()) - others
    return True


def _make_stub(assembly: Assembly, row: Row, node: Node) -> None:
    """A view of the same columns first, and its query when all that it needs is there."""
    assembly.stubs.add(row["oid"])
    columns = ",\n    ".join(
        f"NULL::{column['type']}"
        + (f" COLLATE {column['collation']}" if column["collation"] else "")
        + f" AS {column['name']}"
        for column in assembly.columns[row["oid"]]
    )
    stub = Node(node.name, [f"CREATE VIEW {row['name']} AS SELECT\n    {columns}"], node.rank)
    for each in assembly.nodes:
        if node in each.needs:
            each.needs.add(stub)
            if each.name.kind in {kind.value for kind in (*ROUTINES.values(), Kind.AGGREGATE)}:
                each.needs.discard(node)
    stub.needs = {
        need
        for need in node.needs
        if need.name.kind in (Kind.SCHEMA.value, Kind.TYPE.value, Kind.DOMAIN.value)
    }
    node.needs.add(stub)
    node.statements[0] = node.statements[0].replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)
    assembly.nodes.append(stub)
