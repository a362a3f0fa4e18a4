"""Describes a schema in the same words twice: as PostgreSQL's catalogs have it, and as a model."""

from __future__ import annotations

from typing import Any

import psycopg

from manticore_cockroachdb._model.schema import Schema
from manticore_cockroachdb._model.values import (
    ConstraintKind,
    Sequence,
    Table,
    TypeKind,
    UserType,
    View,
)

_COLUMNS = """
    SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'NULL%' AND a.attgenerated = '',
           a.attgenerated <> '', a.attidentity <> ''
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    ORDER BY a.attnum
"""
_CONSTRAINTS = """
    SELECT n.nspname, c.relname, o.conname, o.contype, o.convalidated,
           array(SELECT a.attname FROM unnest(o.conkey) WITH ORDINALITY k (n, i)
                 JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.n ORDER BY k.i),
           fn.nspname, f.relname,
           array(SELECT a.attname FROM unnest(o.confkey) WITH ORDINALITY k (n, i)
                 JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.n ORDER BY k.i)
    FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_class f ON f.oid = o.confrelid
    LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE o.contype IN ('p', 'u', 'c', 'f', 'x')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_INDEXES = """
    SELECT n.nspname, c.relname, i.relname, x.indisunique, x.indpred IS NOT NULL, m.amname,
           array(SELECT a.attname FROM unnest(x.indkey) WITH ORDINALITY k (n, i)
                 LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n
                 WHERE k.i <= x.indnkeyatts ORDER BY k.i),
           array(SELECT a.attname FROM unnest(x.indkey) WITH ORDINALITY k (n, i)
                 LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n
                 WHERE k.i > x.indnkeyatts ORDER BY k.i)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_am m ON m.oid = i.relam
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT 1 FROM pg_constraint o
                      WHERE o.conindid = x.indexrelid AND o.contype IN ('p', 'u', 'x'))
"""
_RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
_ENUMS = """
    SELECT n.nspname, t.typname, array(SELECT e.enumlabel::text FROM pg_enum e
                                       WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e'
"""
_KINDS = {
    "p": ConstraintKind.PRIMARY_KEY,
    "u": ConstraintKind.UNIQUE,
    "c": ConstraintKind.CHECK,
    "f": ConstraintKind.FOREIGN_KEY,
    "x": ConstraintKind.EXCLUDE,
}
_RELATION_KINDS = {"v": "view", "m": "materialized view", "S": "sequence"}
Described = dict[str, Any]


def of_server(connection: psycopg.Connection[Any]) -> Described:
    """The schema as the catalogs have it, as lines by what they describe."""
    found: Described = {}
    connection.execute("SET search_path = public")
    for schema, table, column, kind, *flags in connection.execute(_COLUMNS).fetchall():
        found[f"column {schema}.{table}.{column}"] = (kind, *map(bool, flags))
    for schema, table, name, kind, valid, columns, *target in connection.execute(_CONSTRAINTS):
        line = f"constraint {schema}.{table}.{name}"
        shown = () if kind in "cx" else tuple(columns)
        found[line] = (
            _KINDS[kind],
            valid,
            shown,
            (target[0], target[1]) if target[1] else None,
            tuple(target[2]),
        )
    for schema, table, name, unique, partial, method, keys, stored in connection.execute(_INDEXES):
        line = f"index {schema}.{table}.{name}"
        found[line] = (unique, partial, method, tuple(keys), tuple(stored))
    for schema, name, kind in connection.execute(_RELATIONS):
        found[f"{_RELATION_KINDS[kind]} {schema}.{name}"] = True
    for schema, name, values in connection.execute(_ENUMS):
        found[f"enum {schema}.{name}"] = tuple(values)
    return found


def of_model(model: Schema) -> Described:
    """The schema as the model has it, in the same words."""
    found: Described = {}
    for key, value in model.objects():
        name = f"{key.schema}.{key.name}"
        match value:
            case Table():
                found |= _table(name, value)
            case View():
                found[f"{'materialized ' if value.materialized else ''}view {name}"] = True
            case Sequence():
                found[f"sequence {name}"] = True
            case UserType(kind=TypeKind.ENUM):
                found[f"enum {name}"] = value.values
            case _:
                pass
    return found


def _table(name: str, table: Table) -> Described:
    found: Described = {}
    for column in table.columns:
        found[f"column {name}.{column.name}"] = (
            str(column.type),
            column.not_null,
            (column.default is not None and column.default.text.upper() != "NULL") or column.serial,
            column.generated is not None,
            column.identity,
        )
    for one in table.constraints:
        shown = () if one.kind in (ConstraintKind.CHECK, ConstraintKind.EXCLUDE) else one.columns
        target = (one.target.schema, one.target.name) if one.target else None
        found[f"constraint {name}.{one.name}"] = (
            one.kind,
            one.validated,
            shown,
            target,
            one.target_columns,
        )
    for index in table.indexes:
        found[f"index {name}.{index.name}"] = (
            index.unique,
            index.predicate is not None,
            index.method,
            tuple(key.column for key in index.keys),
            index.storing,
        )
    return found
