"""What belongs to a table: constraints, indexes, statistics, triggers, rules, policies. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..names import Row
from ..objects import Kind
from ..ordering import Node
from .assembly import Assembly, Phase, Place
from .words import enabled, enabled_as

_CONSTRAINT_ORDER = {"p": "1", "u": "2", "x": "3", "c": "4", "f": "5"}
_COMMANDS = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"}


def constraints(assembly: Assembly) -> None:
    for row in assembly.rows["constraints"]:
        if row["domain"]:
            node = assembly.at.get(("pg_type", row["domain"]))
            if node is not None:
                _domain_constraint(assembly, row, node)
            continue
        table = assembly.relations.get(row["relation"])
        if table is None:
            continue
        index = _index(assembly, row["index"]) if row["type"] in "pux" else None
        # What a parent's constraint makes in its children comes with the parent's; an index of a
        # partition is made separately, so that its name stays, and is then attached.
        if not row["is_local"] and index is None:
            continue
        if row["type"] == "f" and row["has_parent"]:
            continue
        _constraint(assembly, row, table, index)


def _index(assembly: Assembly, oid: int) -> Row:
    return next(index for index in assembly.rows["indexes"] if index["oid"] == oid)


def _domain_constraint(assembly: Assembly, row: Row, domain: Node) -> None:
    name = domain.name.name
    node = assembly.add(
        Kind.CONSTRAINT,
        f"{row['name']} on domain {name}",
        [f"ALTER DOMAIN {name} ADD CONSTRAINT {row['name']} {row['definition']}"],
        (Phase.TYPE, name, Place.CONSTRAINT, row["name"]),
        addresses=[("pg_constraint", row["oid"])],
        words=f"CONSTRAINT {row['name']} ON DOMAIN {name}",
        drop=f"ALTER DOMAIN {name} DROP CONSTRAINT {row['name']}",
        parent=domain.name,
    )
    node.needs.add(domain)


def _constraint(assembly: Assembly, row: Row, table: Row, index: Row | None) -> None:
    name = table["name"]
    parent = assembly.at["pg_class", table["oid"]]
    only = "ONLY " if index or (row["type"] == "f" and table["kind"] == "r") else ""
    statements = [f"ALTER TABLE {only}{name}\n    ADD CONSTRAINT {row['name']} {row['definition']}"]
    addresses = [("pg_constraint", row["oid"])]
    phase = Phase.FOREIGN_KEY if row["type"] == "f" else Phase.TABLE
    if index:
        statements += _index_settings(index, table)
        addresses.append(("pg_class", index["oid"]))
    node = assembly.add(
        Kind.CONSTRAINT,
        f"{row['name']} on {name}",
        statements,
        (phase, name, Place.CONSTRAINT, _CONSTRAINT_ORDER[row["type"]] + row["name"]),
        addresses=addresses,
        words=f"CONSTRAINT {row['name']} ON {name}",
        drop=f"ALTER TABLE {name} DROP CONSTRAINT {row['name']}",
        parent=parent.name,
    )
    node.needs |= {parent, *assembly.attached[table["oid"]]}
    if index:
        assembly.words["pg_class", index["oid"]] = f"INDEX {index['name']}"


def indexes(assembly: Assembly) -> None:
    backing = {row["index"] for row in assembly.rows["constraints"] if row["type"] in "pux"}
    for row in assembly.rows["indexes"]:
        table = assembly.relations.get(row["relation"])
        if table is None or row["oid"] in backing:
            continue
        parent = assembly.at["pg_class", table["oid"]]
        statements = [row["definition"], *_index_settings(row, table)]
        if not row["valid"] and row["kind"] == "i":
            statements[0] = f"-- This index is not valid.\n{statements[0]}"
        phase = parent.rank[0]
        node = assembly.add(
            Kind.INDEX,
            row["name"],
            statements,
            (phase, table["name"], Place.INDEX, row["name"]),
            addresses=[("pg_class", row["oid"])],
            drop=f"DROP INDEX {row['name']}",
            parent=parent.name,
        )
        node.needs |= {parent, *assembly.attached[table["oid"]]}
    _attach_indexes(assembly)


def _index_settings(index: Row, table: Row) -> list[str]:
    found = []
    if index["tablespace"]:
        found.append(f"ALTER INDEX {index['name']} SET TABLESPACE {index['tablespace']}")
    found += [f"ALTER INDEX {index['name']} ALTER COLUMN {each}" for each in index["statistics"]]
    own_name = _last_part(index["name"])
    if index["clustered"]:
        found.append(f"ALTER TABLE {table['name']} CLUSTER ON {own_name}")
    if index["replica_identity"]:
        found.append(f"ALTER TABLE ONLY {table['name']} REPLICA IDENTITY USING INDEX {own_name}")
    return found


def _attach_indexes(assembly: Assembly) -> None:
    names = {row["oid"]: row["name"] for row in assembly.rows["indexes"]}
    for row in assembly.rows["indexes"]:
        node = assembly.at.get(("pg_class", row["oid"]))
        parent = assembly.at.get(("pg_class", row["parent"]))
        if node is None or parent is None:
            continue
        statement = f"ALTER INDEX {names[row['parent']]} ATTACH PARTITION {row['name']}"
        bond = Node(node.name, [statement], (*node.rank[:3], node.rank[3] + " ", 0))
        bond.needs |= {node, parent}
        assembly.nodes.append(bond)


def statistics(assembly: Assembly) -> None:
    for row in assembly.rows["statistics"]:
        table = assembly.relations.get(row["relation"])
        if table is None:
            continue
        statements = [row["definition"]]
        if row["target"] is not None:
            statements.append(f"ALTER STATISTICS {row['name']} SET STATISTICS {row['target']}")
        _belonging(
            assembly,
            Kind.STATISTICS,
            row,
            table,
            statements,
            Place.STATISTICS,
            "pg_statistic_ext",
            name=row["name"],
            words=f"STATISTICS {row['name']}",
            owner=row["owner"],
        )


def triggers(assembly: Assembly) -> None:
    names = {}
    for row in assembly.rows["triggers"]:
        table = assembly.relations.get(row["relation"])
        if table is not None:
            names[row["oid"]] = row["name"]
            state = enabled("TRIGGER", row["name"], table["name"], row["enabled"])
            _belonging(
                assembly,
                Kind.TRIGGER,
                row,
                table,
                [row["definition"], *state],
                Place.TRIGGER,
                "pg_trigger",
            )
    for row in assembly.rows["partition_triggers"]:
        table = assembly.relations.get(row["relation"])
        if table is not None and row["original"] in names:
            original = assembly.at["pg_trigger", row["original"]]
            name = names[row["original"]]
            statement = enabled_as("TRIGGER", name, table["name"], row["enabled"])
            rank = (*original.rank[:4], original.rank[4] + row["depth"])
            node = Node(original.name, [statement], rank)
            node.needs |= {original, assembly.at["pg_class", table["oid"]]}
            assembly.nodes.append(node)


def rules(assembly: Assembly) -> None:
    for row in assembly.rows["rules"]:
        table = assembly.relations.get(row["relation"])
        if table is None:
            continue
        if row["definition"] is None:
            assembly.at["pg_rewrite", row["oid"]] = assembly.bodies[table["oid"]]
            continue
        state = enabled("RULE", row["name"], table["name"], row["enabled"])
        definition = row["definition"].rstrip().rstrip(";")
        _belonging(assembly, Kind.RULE, row, table, [definition, *state], Place.RULE, "pg_rewrite")


def policies(assembly: Assembly) -> None:
    for row in assembly.rows["policies"]:
        table = assembly.relations.get(row["relation"])
        if table is None:
            continue
        words = [f"CREATE POLICY {row['name']} ON {table['name']}"]
        if not row["permissive"]:
            words.append("AS RESTRICTIVE")
        if row["command"] != "*":
            words.append(f"FOR {_COMMANDS[row['command']]}")
        if row["roles"] != ["PUBLIC"]:
            words.append(f"TO {', '.join(row['roles'])}")
        text = " ".join(words)
        if row["using_expression"] is not None:
            text += f"\n    USING ({row['using_expression']})"
        if row["check_expression"] is not None:
            text += f"\n    WITH CHECK ({row['check_expression']})"
        _belonging(assembly, Kind.POLICY, row, table, [text], Place.POLICY, "pg_policy")


def _belonging(
    assembly: Assembly,
    kind: Kind,
    row: Row,
    table: Row,
    statements: Sequence[str],
    place: Place,
    catalog: str,
    *,
    name: str | None = None,
    words: str | None = None,
    owner: str | None = None,
) -> None:
    """Something of a table: it comes after the table, and its partitions, and is named with it."""
    parent = assembly.at["pg_class", table["oid"]]
    words = words or f"{kind.value.upper()} {row['name']} ON {table['name']}"
    node = assembly.add(
        kind,
        name or f"{row['name']} on {table['name']}",
        statements,
        (parent.rank[0], table["name"], place, row["name"]),
        addresses=[(catalog, row["oid"])],
        words=words,
        drop=f"DROP {words}",
        parent=parent.name,
        owner=owner,
    )
    node.needs |= {parent, *assembly.attached[table["oid"]]}


def _last_part(name: str) -> str:
    """The last part of a qualified name, as it is quoted."""
    quoted = False
    for position in range(len(name) - 1, -1, -1):
        if name[position] == '"':
            quoted = not quoted
        elif name[position] == "." and not quoted:
            return name[position + 1 :]
    return name
