"""The questions that CockroachDB is asked for a printing. Statements only.

Two round trips: what there is, then `SHOW CREATE` for each of it, all sent at once. That is what
`SHOW CREATE ALL TABLES` prints, in a quarter of its time (v22.1, 300 tables: 2.2 s against 9.6 s), and
every version since v21.1 knows it. `crdb_internal` is never asked: from v26.1 on it is refused.
https://www.cockroachlabs.com/docs/stable/show-create
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..names import Row, identifier

_SYSTEM = "('crdb_internal', 'information_schema', 'pg_catalog', 'pg_extension')"
#: Members of these may do everything everywhere, and every object's list begins with them.
_ADMINS = "('admin', 'root')"

#: Asked first; the answers are known by these names.
QUESTIONS: dict[str, str] = {
    "self": "SELECT current_user::TEXT AS role, current_database()::TEXT AS database",
    "schemas": "SELECT schema_name AS name, owner FROM [SHOW SCHEMAS] "
    f"WHERE schema_name NOT IN {_SYSTEM} AND schema_name NOT LIKE 'pg\\_temp%'",
    "enums": "SELECT schema, name, values, owner FROM [SHOW ENUMS] WHERE schema NOT LIKE 'pg\\_temp%'",
    "types": "SELECT schema, name, owner FROM [SHOW TYPES] WHERE schema NOT LIKE 'pg\\_temp%'",
    "relations": "SELECT n.nspname::TEXT AS schema, c.relname::TEXT AS name, c.relkind::TEXT AS kind, "
    "pg_get_userbyid(c.relowner)::TEXT AS owner "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'v', 'm', 'S') AND n.nspname NOT IN {_SYSTEM} "
    "AND n.nspname NOT LIKE 'pg\\_temp%'",
    "table_grants": "SELECT table_schema AS schema, table_name AS name, grantee, "
    "privilege_type AS privilege, is_grantable FROM information_schema.table_privileges "
    f"WHERE grantee NOT IN {_ADMINS} AND table_schema NOT IN {_SYSTEM}",
    "schema_grants": "SELECT table_schema AS schema, grantee, privilege_type AS privilege, is_grantable "
    f"FROM information_schema.schema_privileges WHERE grantee NOT IN {_ADMINS} "
    f"AND table_schema NOT IN {_SYSTEM} AND table_catalog = current_database()",
}
#: Asked where the server knows them; NOTHING stands for what it does not.
OPTIONAL: dict[str, str] = {
    "ledger_owner": "SELECT pg_get_userbyid(c.relowner)::TEXT AS role FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = $1::TEXT AND c.relname = $2::TEXT",
    "type_grants": "SELECT type_schema AS schema, type_name AS name, grantee, privilege_type AS privilege "
    f"FROM information_schema.type_privileges WHERE grantee NOT IN {_ADMINS} "
    f"AND type_schema NOT IN {_SYSTEM} AND type_catalog = current_database()",
    # GENERATED … AS IDENTITY makes the sequence, by the same name if that is free.
    "identities": "SELECT pg_get_serial_sequence(quote_ident(table_schema) || '.' || "
    "quote_ident(table_name), column_name) AS sequence FROM information_schema.columns "
    f"WHERE is_identity = 'YES' AND table_schema NOT IN {_SYSTEM} "
    "AND table_catalog = current_database()",
    "routines": "SELECT DISTINCT routine_schema AS schema, routine_name AS name, routine_type AS kind "
    f"FROM information_schema.routines WHERE routine_schema NOT IN {_SYSTEM}",
    "triggers": "SELECT n.nspname::TEXT AS schema, c.relname::TEXT AS relation, t.tgname::TEXT AS name "
    "FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal",
    "default_privileges": "SELECT pg_get_userbyid(d.defaclrole)::TEXT AS role, "
    "d.defaclobjtype::TEXT AS type, d.defaclacl::TEXT[] AS list, n.nspname::TEXT AS schema "
    "FROM pg_catalog.pg_default_acl d "
    "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace",
    "comments": "SELECT 'SCHEMA' AS kind, n.nspname::TEXT AS schema, NULL::TEXT AS name, d.description "
    "FROM pg_catalog.pg_description d JOIN pg_catalog.pg_namespace n ON n.oid = d.objoid "
    "WHERE d.classoid = 'pg_catalog.pg_namespace'::REGCLASS "
    "UNION ALL SELECT 'TYPE', n.nspname::TEXT, t.typname::TEXT, d.description "
    "FROM pg_catalog.pg_description d JOIN pg_catalog.pg_type t ON t.oid = d.objoid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
    "WHERE d.classoid = 'pg_catalog.pg_type'::REGCLASS",
}
#: How a server says that it does not know a question: syntax, relation, column, function, feature, type.
UNKNOWN = frozenset({"42601", "42P01", "42703", "42883", "0A000", "42704"})


def creations(rows: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Row, str]]:
    """Of each thing that SHOW CREATE prints: the answer it is in, its row, and the statement."""
    enums = {(row["schema"], row["name"]) for row in rows["enums"]}
    for row in rows["relations"]:
        yield "relations", row, f"SHOW CREATE {_full(rows, row['schema'], row['name'])}"
    for row in rows["types"]:
        if (row["schema"], row["name"]) not in enums:
            yield "types", row, f"SHOW CREATE TYPE {_full(rows, row['schema'], row['name'])}"
    for row in rows["routines"]:
        kind = "PROCEDURE" if row["kind"] == "PROCEDURE" else "FUNCTION"
        yield "routines", row, f"SHOW CREATE {kind} {_full(rows, row['schema'], row['name'])}"
    for row in rows["triggers"]:
        table = _full(rows, row["schema"], row["relation"])
        yield "triggers", row, f"SHOW CREATE TRIGGER {identifier(row['name'])} ON {table}"


def _full(rows: Mapping[str, Sequence[Row]], schema: str, name: str) -> str:
    return ".".join(map(identifier, (rows["self"][0]["database"], schema, name)))
