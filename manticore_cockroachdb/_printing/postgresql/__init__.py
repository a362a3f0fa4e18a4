"""PostgreSQL's catalogs into a printing. Pure: rows in, objects and ordered statements out.

How it works: each object becomes one or more nodes (statements that stay together) and says by which
addresses the catalogs know it (class and oid). `pg_depend` then gives what each node needs. What may be
part of a cycle stands apart: foreign keys and other constraints, the owner of a sequence, a partition's
bond to its parent, REFRESH. Where a cycle is left all the same, defaults of columns and bodies of views
are moved out of it, as pg_dump does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ..names import Row
from ..objects import ObjectName, Printing, SchemaObject
from . import attachments, kinds, relations, remarks
from .assembly import Assembly, Rows
from .dependencies import depend, in_order, reach_members
from .normal import normal, normal_query

_BUILDERS = (
    kinds.schemas,
    kinds.extensions,
    kinds.collations,
    kinds.types,
    kinds.text_search,
    kinds.sequences,
    kinds.routines,
    kinds.aggregates,
    relations.tables,
    relations.views,
    attachments.constraints,
    attachments.indexes,
    attachments.statistics,
    attachments.triggers,
    attachments.rules,
    attachments.policies,
    kinds.event_triggers,
    kinds.default_privileges,
    reach_members,
    depend,
    remarks.comments,
    remarks.privileges,
)
#: What of the catalogs' answers is an expression, or holds one.
_EXPRESSIONS = (
    "definition",
    "default",
    "default_expression",
    "using_expression",
    "check_expression",
)


def assemble(
    rows: Rows, *, server: str, own: Iterable[tuple[str, str]] = (), ourselves: str | None = None
) -> Printing:
    """A printing from what the catalogs answered.

    Args:
        rows: The answers, by the names of `catalog.QUESTIONS`.
        server: The server's kind and version.
        own: Schema and name of tables that are left out, with all that belongs to them.
        ourselves: The role that owns what has no OWNER statement; None: the session's user.
    """
    printed = {name: [_normalized(row) for row in answer] for name, answer in rows.items()}
    assembly = Assembly(printed, frozenset(own), ourselves or rows["self"][0]["role"])
    for build in _BUILDERS:
        build(assembly)
    done = in_order(assembly)
    statements = tuple((node.name, text) for node in done for text in node.statements)
    by_object: dict[ObjectName, list[str]] = defaultdict(list)
    for name, text in statements:
        by_object[name].append(text)
    objects = {
        name: SchemaObject(name, tuple(texts), each.parts, each.parent, each.drop, each.replaceable)
        for name, texts in sorted(by_object.items())
        for each in (assembly.objects[name],)
    }
    omitted = sorted(ObjectName(row["kind"], row["name"]) for row in assembly.rows["omitted"])
    return Printing(server, statements, objects, tuple(omitted))


def _normalized(row: Row) -> Row:
    found = {name: normal(row[name]) for name in _EXPRESSIONS if row.get(name)}
    if row.get("query"):
        found["query"] = normal_query(row["query"])
    return {**row, **found} if found else row
