"""Tables with their columns and partitions, and views. Pure."""

from __future__ import annotations

from ..names import Row, identifier
from ..objects import Kind
from .assembly import RELATIONS, Assembly, Phase, Place
from .words import attribute, bracketed, column_definition, column_settings, storage_options


def tables(assembly: Assembly) -> None:
    for row in assembly.relations.values():
        if row["kind"] in ("r", "p"):
            _table(assembly, row)
    for child, bond in assembly.bonds.items():
        parent = assembly.at["pg_class", assembly.relations[child]["parents"][0]]
        # A parent's table is first, so that its constraints get the names that its partitions take over.
        assembly.at["pg_class", child].needs.add(parent)
        # From the leaves up: a parent's constraints then reach all of them.
        bond.needs |= {parent, *assembly.attached[child]}
    for row in assembly.rows["sequences"]:
        table = assembly.relations.get(row["table_oid"])
        if row["ownership"] != "a" or table is None:
            continue
        column = assembly.column(row["table_oid"], row["column_number"])
        made = assembly.at["pg_class", row["oid"]]
        after = assembly.at["pg_class", row["table_oid"]]
        owns = assembly.add(
            Kind.SEQUENCE,
            row["name"],
            [f"ALTER SEQUENCE {row['name']} OWNED BY {table['name']}.{column['name']}"],
            (Phase.TABLE, table["name"], Place.SEQUENCE_OWNER, row["name"]),
        )
        owns.needs |= {made, after, *assembly.owned[made], *assembly.owned[after]}


def _table(assembly: Assembly, row: Row) -> None:
    name, oid = row["name"], row["oid"]
    inherits = not row["is_partition"] and bool(row["parents"])
    shown = [c for c in assembly.columns[oid] if c["is_local"] or not inherits]
    if inherits:
        # The server puts columns that parents have, too, first: so they stand where they will be.
        places = {name: at for at, name in enumerate(_inherited_names(assembly, row))}
        shown.sort(key=lambda column: places.get(column["raw_name"], len(places)))
    parts = [(c["name"], _column_text(assembly, c, row)) for c in shown]
    unlogged = "UNLOGGED " if row["persistence"] == "u" else ""
    text = f"CREATE {unlogged}TABLE {name} {bracketed([part for _, part in parts])}"
    if inherits:
        parents = ", ".join(assembly.relations[parent]["name"] for parent in row["parents"])
        text += f"\nINHERITS ({parents})"
    if row["partition_key"]:
        text += f"\nPARTITION BY {row['partition_key']}"
    if row["access_method"] not in (None, "heap"):
        text += f"\nUSING {row['access_method']}"
    options = storage_options(row["options"])
    options += storage_options(row["toast_options"], "toast.")
    if options:
        text += f"\nWITH ({', '.join(options)})"
    if row["tablespace"]:
        text += f"\nTABLESPACE {row['tablespace']}"
    statements = [text, *_table_settings(assembly, row, inherits=inherits)]
    addresses = [("pg_class", oid), ("pg_type", row["row_type"])]
    for column in assembly.columns[oid]:
        if column["default_oid"] is not None:
            addresses.append(("pg_attrdef", column["default_oid"]))
        if column["not_null_oid"] is not None:
            addresses.append(("pg_constraint", column["not_null_oid"]))
        if (oid, column["number"]) in assembly.identities:
            sequence = assembly.identities[oid, column["number"]]
            addresses.append(("pg_class", sequence["oid"]))
    node = assembly.add(
        Kind.TABLE,
        name,
        statements,
        (Phase.TABLE, name, Place.ITSELF, ""),
        addresses=addresses,
        words=f"TABLE {name}",
        drop=f"DROP TABLE {name}",
        parts=parts,
        owner=row["owner"],
    )
    assembly.words["pg_type", row["row_type"]] = f"TYPE {name}"
    for column in assembly.columns[oid]:
        if (oid, column["number"]) in assembly.identities:
            sequence = assembly.identities[oid, column["number"]]
            assembly.words["pg_class", sequence["oid"]] = f"SEQUENCE {sequence['name']}"
        if column["not_null_oid"] is not None:
            named = f"CONSTRAINT {identifier(column['not_null_name'])} ON {name}"
            assembly.words["pg_constraint", column["not_null_oid"]] = named
    if row["is_partition"]:
        parent = assembly.relations[row["parents"][0]]
        bond = assembly.add(
            Kind.TABLE,
            name,
            [f"ALTER TABLE ONLY {parent['name']} ATTACH PARTITION {name} {row['bound']}"],
            (Phase.TABLE, name, Place.ATTACHED, ""),
        )
        bond.needs.add(node)
        bond.needs |= set(assembly.owned[node])
        assembly.attached[parent["oid"]].append(bond)
        assembly.bonds[oid] = bond


def _inherited_names(assembly: Assembly, row: Row) -> list[str]:
    """The columns of a table's parents, in the order in which it gets them."""
    columns = (column for oid in row["parents"] for column in assembly.columns[oid])
    return list(dict.fromkeys(column["raw_name"] for column in columns))


def _theirs(assembly: Assembly, column: Row, row: Row) -> list[Row]:
    """The columns of a table's parents that a column of it is merged with."""
    return [
        parent
        for oid in row["parents"]
        for parent in assembly.columns[oid]
        if parent["raw_name"] == column["raw_name"]
    ]


def _column_text(assembly: Assembly, column: Row, table: Row) -> str:
    identity = assembly.identities.get((table["oid"], column["number"]))
    if column["default"] is None and identity is None and not table["is_partition"]:
        inherited = any(each["default"] is not None for each in _theirs(assembly, column, table))
        if inherited:
            column = {**column, "default": "NULL"}
    return column_definition(column, table, identity)


def _table_settings(assembly: Assembly, row: Row, *, inherits: bool) -> list[str]:
    name = row["name"]
    found = []
    if row["of_type"]:
        found.append(f"ALTER TABLE {name} OF {row['of_type']}")
    for column in assembly.columns[row["oid"]]:
        if inherits and not column["is_local"]:
            found += _inherited(assembly, column, row)
        if column["not_null"] and not column["not_null_valid"]:
            found.append(
                f"ALTER TABLE ONLY {name} ADD CONSTRAINT {identifier(column['not_null_name'])} "
                f"NOT NULL {column['name']} NOT VALID"
            )
        found += column_settings(name, column)
    if row["row_security"]:
        found.append(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    if row["force_row_security"]:
        found.append(f"ALTER TABLE ONLY {name} FORCE ROW LEVEL SECURITY")
    if row["replica_identity"] in ("f", "n"):
        kind = "FULL" if row["replica_identity"] == "f" else "NOTHING"
        found.append(f"ALTER TABLE ONLY {name} REPLICA IDENTITY {kind}")
    return found


def _inherited(assembly: Assembly, column: Row, row: Row) -> list[str]:
    """Where a column of a child is not as its parents' are."""
    alter = f"ALTER TABLE ONLY {row['name']} ALTER COLUMN {column['name']}"
    theirs = _theirs(assembly, column, row)
    found = []
    merged = next((each["default"] for each in theirs if each["default"] is not None), None)
    if column["default"] != merged:
        if column["generated"]:
            found.append(f"{alter} SET EXPRESSION AS ({column['default']})")
        elif column["default"] is None:
            found.append(f"{alter} DROP DEFAULT")
        else:
            found.append(f"{alter} SET DEFAULT {column['default']}")
    inherited = any(parent["not_null"] and not parent["not_null_no_inherit"] for parent in theirs)
    if column["not_null"] and column["not_null_valid"] and not inherited:
        if column["not_null_name"] is None:
            found.append(f"{alter} SET NOT NULL")
        else:
            found.append(
                f"ALTER TABLE ONLY {row['name']} ADD CONSTRAINT {identifier(column['not_null_name'])} "
                f"NOT NULL {column['name']}"
            )
    return found


def views(assembly: Assembly) -> None:
    for row in assembly.relations.values():
        if row["kind"] in ("v", "m"):
            _view(assembly, row)


def _view(assembly: Assembly, row: Row) -> None:
    name, oid = row["name"], row["oid"]
    kind = RELATIONS[row["kind"]]
    words = kind.value.upper()
    is_view = kind is Kind.VIEW
    text = f"CREATE {words} {name}"
    if row["access_method"] not in (None, "heap"):
        text += f"\nUSING {row['access_method']}"
    options = storage_options(row["options"])
    options += storage_options(row["toast_options"], "toast.")
    if options:
        text += f"\nWITH ({', '.join(options)})"
    if row["tablespace"]:
        text += f"\nTABLESPACE {row['tablespace']}"
    text += f"\nAS{_indented(row['query'])}"
    if not is_view:
        text += "\nWITH NO DATA"
    statements = [text]
    for column in assembly.columns[oid]:
        if is_view and column["default"] is not None:
            alter = f"ALTER VIEW {name} ALTER COLUMN {column['name']}"
            statements.append(f"{alter} SET DEFAULT {column['default']}")
        if not is_view:
            statements += [
                each.replace("ALTER TABLE ONLY", f"ALTER {words}", 1)
                for each in column_settings(name, column)
            ]
    addresses = [("pg_class", oid), ("pg_type", row["row_type"])]
    addresses += [
        ("pg_attrdef", column["default_oid"])
        for column in assembly.columns[oid]
        if column["default_oid"] is not None
    ]
    rank = (Phase.VIEW, name, Place.ITSELF, "")
    node = assembly.add(
        kind,
        name,
        statements,
        rank,
        addresses=addresses,
        drop=f"DROP {words} {name}",
        parts=[(each["name"], attribute(each)) for each in assembly.columns[oid]],
        owner=row["owner"],
    )
    assembly.bodies[oid] = node
    if not is_view and row["populated"]:
        refresh = assembly.add(
            kind, name, [f"REFRESH {words} {name}"], (Phase.REFRESH, name, 0, "")
        )
        refresh.needs.add(node)
        assembly.refreshes[node] = refresh


def _indented(query: str) -> str:
    """A view's query as the server prints it, without its semicolon."""
    body = query.rstrip().rstrip(";")
    return body if body.startswith(("\n", " ")) else f"\n{body}"
