"""Statements about objects: comments, and privileges. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..names import Row, identifier
from ..objects import Kind
from ..ordering import Node
from .assembly import Aspect, Assembly, Phase
from .privileges import grants, owner_words


def comments(assembly: Assembly) -> None:
    for row in assembly.rows["comments"]:
        address = (row["class"], row["oid"])
        node = assembly.at.get(address)
        words = assembly.words.get(address)
        if node is None or words is None:
            continue
        if row["column_number"]:
            relation = assembly.relations.get(row["oid"])
            if relation is None:
                continue
            column = assembly.column(row["oid"], row["column_number"])
            words = f"COLUMN {relation['name']}.{column['name']}"
        _aspect(
            assembly,
            Kind.COMMENT,
            node,
            words,
            [f"COMMENT ON {words} IS {row['text']}"],
            Aspect.COMMENT,
            drop=f"COMMENT ON {words} IS NULL",
        )


def privileges(assembly: Assembly) -> None:
    foreign = {(row["class"], row["oid"]): row for row in assembly.rows["foreign_names"]}
    groups: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    ours = {assembly.ourselves, identifier(assembly.ourselves)}
    for row in assembly.rows["privileges"]:
        if row["kind"] == "n" and row["grantee"] in ours:
            continue  # What lets us make objects there is no part of the schema.
        groups[row["class"], row["oid"], row["column_number"]].append(row)
    for (catalog, oid, number), members in groups.items():
        node = assembly.at.get((catalog, oid))
        words = assembly.words.get((catalog, oid))
        if words is None:
            if (catalog, oid) not in foreign:
                continue  # Of a kind that is not printed; or one of our own tables.
            words = f"{foreign[catalog, oid]['kind']} {foreign[catalog, oid]['name']}"
        target, columns = assembly.granted.get((catalog, oid)) or _granted(words), ""
        if number:
            columns = f" ({members[0]['column_name']})"
            words = f"COLUMN {target.partition(' ')[2]}.{members[0]['column_name']}"
        owner = members[0]["owner"]
        statements = grants(
            members,
            f"ON {target}",
            owner_words(owner, assembly.ourselves, identifier(owner)),
            columns,
        )
        _aspect(assembly, Kind.GRANTS, node, words, statements, Aspect.GRANTS)


def _aspect(
    assembly: Assembly,
    kind: Kind,
    node: Node | None,
    words: str,
    statements: Sequence[str],
    aspect: Aspect,
    drop: str | None = None,
) -> None:
    rank = node.rank[:4] if node is not None else (Phase.EXTENSION, "~", 0, words)
    verb, _, rest = words.partition(" ")
    said = assembly.add(
        kind,
        f"{verb.lower()} {rest}",
        statements,
        rank,
        drop=drop,
        parent=node.name if node is not None else None,
        aspect=aspect,
    )
    if node is not None:
        said.needs |= {node, *assembly.owned[node]}


def _granted(words: str) -> str:
    """What GRANT calls an object: every relation is a TABLE there."""
    for ours, theirs in (
        ("MATERIALIZED VIEW ", "TABLE "),
        ("VIEW ", "TABLE "),
        ("DOMAIN ", "TYPE "),
    ):
        if words.startswith(ours):
            return theirs + words.removeprefix(ours)
    return words
