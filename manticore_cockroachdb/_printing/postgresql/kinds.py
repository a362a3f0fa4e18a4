"""Objects that stand alone: schemas, types, sequences, routines and the like. Pure."""

from __future__ import annotations

from ..names import Row, identifier
from ..objects import Kind, ObjectName
from .assembly import ROUTINES, Assembly, Phase
from .privileges import default_privileges as granted_by_default
from .words import attribute, bracketed, literal, not_null, sequence_options

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_MODIFY = {"r": "READ_ONLY", "s": "SHAREABLE", "w": "READ_WRITE"}
_PARALLEL = {"s": "SAFE", "r": "RESTRICTED", "u": "UNSAFE"}


def schemas(assembly: Assembly) -> None:
    names = set()
    for row in assembly.rows["schemas"]:
        names.add(row["name"])
        # Every new database has a schema `public`.
        made = "SCHEMA IF NOT EXISTS" if row["name"] == "public" else "SCHEMA"
        assembly.add(
            Kind.SCHEMA,
            row["name"],
            [f"CREATE {made} {row['name']}", *_ours(assembly, row)],
            (Phase.SCHEMA, row["name"], 0, ""),
            addresses=[("pg_namespace", row["oid"])],
            drop=f"DROP SCHEMA {row['name']}",
            owner=None if row["as_initdb"] else row["owner"],
        )
    if "public" not in names:
        drop = "DROP SCHEMA IF EXISTS public"
        assembly.add(Kind.SCHEMA, "public", [drop], (Phase.SCHEMA, "", 0, ""), drop=drop)


def _ours(assembly: Assembly, row: Row) -> list[str]:
    """`public` where it was made ours: in a new database it is somebody else's."""
    if row["name"] != "public" or row["as_initdb"] or row["owner"] != assembly.ourselves:
        return []
    return ["ALTER SCHEMA public OWNER TO CURRENT_USER"]


def extensions(assembly: Assembly) -> None:
    for row in assembly.rows["extensions"]:
        where = "" if row["schema"] == "pg_catalog" else f" WITH SCHEMA {row['schema']}"
        assembly.add(
            Kind.EXTENSION,
            row["name"],
            [f"CREATE EXTENSION IF NOT EXISTS {row['name']}{where}"],
            (Phase.EXTENSION, row["name"], 0, ""),
            addresses=[("pg_extension", row["oid"])],
            drop=f"DROP EXTENSION {row['name']}",
        )


def collations(assembly: Assembly) -> None:
    for row in assembly.rows["collations"]:
        options = [f"PROVIDER = {_PROVIDERS.get(row['provider'], 'libc')}"]
        if row["locale"] is not None:
            options.append(f"LOCALE = {literal(row['locale'])}")
        elif row["lc_collate"] == row["lc_ctype"]:
            options.append(f"LOCALE = {literal(row['lc_collate'])}")
        else:
            options.append(f"LC_COLLATE = {literal(row['lc_collate'])}")
            options.append(f"LC_CTYPE = {literal(row['lc_ctype'])}")
        if not row["deterministic"]:
            options.append("DETERMINISTIC = false")
        if row["rules"]:
            options.append(f"RULES = {literal(row['rules'])}")
        assembly.simple(
            Kind.COLLATION, row, Phase.COLLATION, "pg_collation", f"({', '.join(options)})"
        )


def types(assembly: Assembly) -> None:
    for row in assembly.rows["enums"]:
        assembly.simple(
            Kind.TYPE, row, Phase.TYPE, "pg_type", f"AS ENUM {bracketed(row['labels'])}"
        )
    for row in assembly.rows["ranges"]:
        _range(assembly, row)
    for row in assembly.rows["domains"]:
        words = [f"AS {row['base']}"]
        if row["collation"]:
            words.append(f"COLLATE {row['collation']}")
        if row["default_expression"] is not None:
            words.append(f"DEFAULT {row['default_expression']}")
        elif row["default_text"] is not None:
            words.append(f"DEFAULT {literal(row['default_text'])}")
        if row["not_null"]:
            words += not_null(row, row["raw_name"])
        node = assembly.simple(Kind.DOMAIN, row, Phase.TYPE, "pg_type", " ".join(words))
        if row["not_null_oid"] is not None:
            named = identifier(row["not_null_name"])
            address = ("pg_constraint", row["not_null_oid"])
            assembly.at[address] = node
            assembly.words[address] = f"CONSTRAINT {named} ON DOMAIN {row['name']}"
    for row in assembly.relations.values():
        if row["kind"] == "c":
            columns = assembly.columns[row["oid"]]
            parts = [(column["name"], attribute(column)) for column in columns]
            assembly.add(
                Kind.TYPE,
                row["name"],
                [f"CREATE TYPE {row['name']} AS {bracketed([text for _, text in parts])}"],
                (Phase.TYPE, row["name"], 0, ""),
                addresses=[("pg_class", row["oid"]), ("pg_type", row["row_type"])],
                drop=f"DROP TYPE {row['name']}",
                parts=parts,
                owner=row["owner"],
            )


def _range(assembly: Assembly, row: Row) -> None:
    options = [f"SUBTYPE = {row['subtype']}"]
    for word, column in (
        ("SUBTYPE_OPCLASS", "opclass"),
        ("COLLATION", "collation"),
        ("CANONICAL", "canonical"),
        ("SUBTYPE_DIFF", "subtype_diff"),
        ("MULTIRANGE_TYPE_NAME", "multirange"),
    ):
        if row[column]:
            options.append(f"{word} = {row[column]}")
    assembly.simple(Kind.TYPE, row, Phase.TYPE, "pg_type", f"AS RANGE {bracketed(options)}")


def text_search(assembly: Assembly) -> None:
    for row in assembly.rows["dictionaries"]:
        options = f", {row['options']}" if row["options"] else ""
        body = f"(TEMPLATE = {row['template']}{options})"
        assembly.simple(Kind.TEXT_SEARCH_DICTIONARY, row, Phase.TEXT_SEARCH, "pg_ts_dict", body)
    for row in assembly.rows["configurations"]:
        node = assembly.simple(
            Kind.TEXT_SEARCH_CONFIGURATION,
            row,
            Phase.TEXT_SEARCH,
            "pg_ts_config",
            f"(PARSER = {row['parser']})",
        )
        node.statements += [
            f"ALTER TEXT SEARCH CONFIGURATION {row['name']} ADD MAPPING FOR {mapping}"
            for mapping in row["mappings"]
        ]


def sequences(assembly: Assembly) -> None:
    for row in assembly.rows["sequences"]:
        if row["ownership"] == "i":
            continue
        table = assembly.relations.get(row["table_oid"]) if row["ownership"] == "a" else None
        # One that a column owns goes with it.
        if_there = "IF EXISTS " if table is not None else ""
        unlogged = "UNLOGGED " if row["persistence"] == "u" else ""
        words = [f"CREATE {unlogged}SEQUENCE {row['name']}"]
        if row["type"] != "bigint":
            words.append(f"AS {row['type']}")
        assembly.add(
            Kind.SEQUENCE,
            row["name"],
            [" ".join([*words, *sequence_options(row)])],
            (Phase.SEQUENCE, row["name"], 0, ""),
            addresses=[("pg_class", row["oid"])],
            drop=f"DROP SEQUENCE {if_there}{row['name']}",
            parent=None if table is None else ObjectName(Kind.TABLE.value, table["name"]),
            owner=row["owner"],
        )


def routines(assembly: Assembly) -> None:
    for row in assembly.rows["functions"]:
        kind = ROUTINES[row["kind"]]
        name = f"{row['name']}({row['arguments']})"
        assembly.add(
            kind,
            name,
            [row["definition"].rstrip()],
            (Phase.FUNCTION, name, 0, ""),
            addresses=[("pg_proc", row["oid"])],
            drop=f"DROP {kind.value.upper()} {name}",
            owner=row["owner"],
            replaceable=True,
        )


def aggregates(assembly: Assembly) -> None:
    for row in assembly.rows["aggregates"]:
        signature = row["signature"] or "*"
        name = f"{row['name']}({row['arguments'] or '*'})"
        words = f"AGGREGATE {row['name']}({signature})"
        assembly.granted["pg_proc", row["oid"]] = f"FUNCTION {row['name']}({row['arguments']})"
        assembly.add(
            Kind.AGGREGATE,
            name,
            [f"CREATE {words} {bracketed(_aggregate_options(row))}"],
            (Phase.FUNCTION, name, 0, ""),
            addresses=[("pg_proc", row["oid"])],
            words=words,
            drop=f"DROP {words}",
            owner=row["owner"],
        )


def event_triggers(assembly: Assembly) -> None:
    for row in assembly.rows["event_triggers"]:
        tags = f"\n    WHEN TAG IN ({', '.join(row['tags'])})" if row["tags"] else ""
        text = (
            f"CREATE EVENT TRIGGER {row['name']} ON {row['event']}{tags}\n"
            f"    EXECUTE FUNCTION {row['function']}()"
        )
        states = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
        state = states.get(row["enabled"])
        assembly.add(
            Kind.EVENT_TRIGGER,
            row["name"],
            [text, *([f"ALTER EVENT TRIGGER {row['name']} {state}"] if state else [])],
            (Phase.EVENT_TRIGGER, row["name"], 0, ""),
            addresses=[("pg_event_trigger", row["oid"])],
            drop=f"DROP EVENT TRIGGER {row['name']}",
            owner=row["owner"],
        )


def default_privileges(assembly: Assembly) -> None:
    found = granted_by_default(assembly.rows["default_privileges"], assembly.ourselves)
    for name, statements in found.items():
        assembly.add(
            Kind.DEFAULT_PRIVILEGES,
            name,
            statements,
            (Phase.DEFAULT_PRIVILEGES, name, 0, ""),
        )


def _aggregate_options(row: Row) -> list[str]:
    default = "r" if row["kind"] == "n" else "w"
    options = [f"SFUNC = {row['aggtransfn']}", f"STYPE = {row['aggtranstype']}"]
    if row["aggtransspace"]:
        options.append(f"SSPACE = {row['aggtransspace']}")
    for prefix, final, extra, modify in (
        ("", "aggfinalfn", "aggfinalextra", "aggfinalmodify"),
        ("M", "aggmfinalfn", "aggmfinalextra", "aggmfinalmodify"),
    ):
        if row[final]:
            options.append(f"{prefix}FINALFUNC = {row[final]}")
        if row[extra]:
            options.append(f"{prefix}FINALFUNC_EXTRA")
        if row[final] and row[modify] != default:
            options.append(f"{prefix}FINALFUNC_MODIFY = {_MODIFY[row[modify]]}")
    for word, column in (
        ("COMBINEFUNC", "aggcombinefn"),
        ("SERIALFUNC", "aggserialfn"),
        ("DESERIALFUNC", "aggdeserialfn"),
        ("INITCOND", "agginitval"),
        ("MSFUNC", "aggmtransfn"),
        ("MINVFUNC", "aggminvtransfn"),
        ("MSTYPE", "aggmtranstype"),
        ("MINITCOND", "aggminitval"),
        ("SORTOP", "aggsortop"),
    ):
        if row[column] is not None:
            options.append(f"{word} = {row[column]}")
    if row["aggmtransspace"]:
        options.append(f"MSSPACE = {row['aggmtransspace']}")
    if row["parallel"] != "u":
        options.append(f"PARALLEL = {_PARALLEL[row['parallel']]}")
    if row["kind"] == "h":
        options.append("HYPOTHETICAL")
    return options
