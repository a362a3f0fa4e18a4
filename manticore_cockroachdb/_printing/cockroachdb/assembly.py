"""The nodes of a printing as they are put together: from rows, and from what SHOW CREATE answered. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from ..._sql.lexer import tokens
from ..names import Row, identifier
from ..objects import Kind, ObjectName, Printing, SchemaObject
from ..ordering import Node, ordered
from .texts import (
    CONSTRAINT,
    ELEMENT_NAME,
    cut,
    grants,
    literal,
    materialized,
    names_in,
    placed,
    qualified,
    quoted_name,
    spelled,
    statements_of,
    unquoted,
)

Rows = Mapping[str, Sequence[Row]]

_FOREIGN_KEY = re.compile(r'CONSTRAINT ((?:"(?:[^"]|"")*"|\S)+) FOREIGN KEY ')
_ACL = re.compile(r"(?P<grantee>.*)=(?P<letters>[A-Za-z*]*)/.*")

_LETTERS = {
    "a": "INSERT", "r": "SELECT", "w": "UPDATE", "d": "DELETE", "U": "USAGE", "C": "CREATE",
    "X": "EXECUTE", "c": "CONNECT", "D": "TRUNCATE",
}  # fmt: skip
_DEFAULTS = {"r": "TABLES", "S": "SEQUENCES", "T": "TYPES", "n": "SCHEMAS", "f": "FUNCTIONS"}
_KINDS = {"r": Kind.TABLE, "v": Kind.VIEW, "m": Kind.MATERIALIZED_VIEW, "S": Kind.SEQUENCE}


class _Phase(IntEnum):
    """When what has no needs is printed."""

    SCHEMA = 0
    TYPE = 1
    SEQUENCE = 2
    TABLE = 3
    VIEW = 4
    ROUTINE = 5
    FOREIGN_KEY = 6
    DEFAULT_PRIVILEGES = 7


class Assembly:
    """Nodes and objects as they are put together."""

    def __init__(self, rows: Rows, own: frozenset[tuple[str, str]], ourselves: str | None) -> None:
        self._rows = rows
        self._own = own
        self._database = rows["self"][0]["database"]
        self._ourselves = ourselves or rows["self"][0]["role"]
        self._schemas = {row["name"] for row in rows["schemas"]}
        self._identities = {spelled(row["sequence"]) for row in rows["identities"]}
        #: Types whose names the server prints in tables without the quotes they need.
        self._odd_types = [
            (f" {row['schema']}.{row['name']}", f" {qualified(row['schema'], row['name'])}")
            for row in (*rows["enums"], *rows["types"])
            if qualified(row["schema"], row["name"]) != f"{row['schema']}.{row['name']}"
        ]
        self._nodes: list[Node] = []
        self._objects: dict[ObjectName, SchemaObject] = {}
        self._by_name: dict[str, Node] = {}
        self._omitted: list[ObjectName] = []

    def printing(self, created: Iterable[tuple[str, Row, str | None]], server: str) -> Printing:
        self._make_schemas()
        self._make_enums()
        for answer, row, text in created:
            self._make(answer, row, text)
        self._say_comments()
        self._say_grants()
        self._say_default_privileges()
        self._depend()
        done, left = ordered(self._nodes)
        # Names in texts may be found where nothing is needed: such circles are left in their usual order.
        done += sorted(left, key=lambda node: node.rank)
        statements = tuple((node.name, text) for node in done for text in node.statements)
        by_object: dict[ObjectName, list[str]] = defaultdict(list)
        for name, text in statements:
            by_object[name].append(text)
        objects = {}
        for name, texts in sorted(by_object.items()):
            made = self._objects[name]
            objects[name] = SchemaObject(
                name, tuple(texts), made.parts, made.parent, made.drop, made.replaceable
            )
        return Printing(server, statements, objects, tuple(sorted(self._omitted)))

    def _add(
        self,
        kind: Kind,
        name: str,
        statements: Sequence[str],
        rank: tuple[int, str, int, str, int],
        *,
        words: str | None = None,
        drop: str | None = None,
        parent: Node | None = None,
        parts: Sequence[tuple[str, str]] = (),
        owner: str | None = None,
    ) -> Node:
        named = ObjectName(kind.value, name)
        node = Node(named, list(statements), rank)
        if parent is not None:
            node.needs.add(parent)
        self._nodes.append(node)
        self._objects.setdefault(
            named,
            SchemaObject(named, (), tuple(parts), parent.name if parent else None, drop),
        )
        if owner not in (None, self._ourselves, "admin", "node"):
            words = words or f"{kind.value.upper()} {name}"
            statement = f"ALTER {words} OWNER TO {quoted_name(str(owner))}"
            drop = f"ALTER {words} OWNER TO {quoted_name(self._ourselves)}"
            self._add(
                Kind.OWNER,
                str(named),
                [statement],
                (*rank[:4], rank[4] + 1),
                drop=drop,
                parent=node,
            )
        return node

    def _make_schemas(self) -> None:
        for row in self._rows["schemas"]:
            name = quoted_name(row["name"])
            made = "SCHEMA IF NOT EXISTS" if row["name"] == "public" else "SCHEMA"
            self._by_name[name] = self._add(
                Kind.SCHEMA,
                name,
                [f"CREATE {made} {name}"],
                (_Phase.SCHEMA, name, 0, "", 0),
                drop=f"DROP SCHEMA {name}",
                owner=None if row["name"] == "public" else row["owner"],
            )

    def _make_enums(self) -> None:
        for row in self._rows["enums"]:
            name = qualified(row["schema"], row["name"])
            labels = ", ".join(literal(label) for label in row["values"] or ())
            self._by_name[name] = self._add(
                Kind.TYPE,
                name,
                [f"CREATE TYPE {name} AS ENUM ({labels})"],
                (_Phase.TYPE, name, 0, "", 0),
                drop=f"DROP TYPE {name}",
                owner=row["owner"],
            )

    def _make(self, answer: str, row: Row, text: str | None) -> None:
        name = qualified(row["schema"], row["name"])
        if answer == "relations" and (row["schema"], row["name"]) in self._own:
            return
        if answer == "triggers" and (row["schema"], row["relation"]) in self._own:
            return
        if row.get("kind") == "S" and name in self._identities:
            return
        kind = {
            "types": Kind.TYPE,
            "triggers": Kind.TRIGGER,
            "routines": Kind.PROCEDURE if row.get("kind") == "PROCEDURE" else Kind.FUNCTION,
            "relations": _KINDS.get(row.get("kind", ""), Kind.TABLE),
        }[answer]
        if text is None:
            self._omitted.append(ObjectName(kind.value, name))
            return
        statements = [self._freed(each) for each in statements_of(text)]
        if kind is Kind.TABLE:
            self._table(name, row, statements)
        elif kind is Kind.TRIGGER:
            table = qualified(row["schema"], row["relation"])
            own_name = f"{quoted_name(row['name'])} on {table}"
            rank = (_Phase.ROUTINE, "~" + table, 1, own_name, 0)
            drop = f"DROP TRIGGER {quoted_name(row['name'])} ON {table}"
            self._add(kind, own_name, statements, rank, drop=drop, parent=self._by_name.get(table))
        else:
            self._other(kind, name, row, statements)

    def _other(self, kind: Kind, name: str, row: Row, statements: list[str]) -> None:
        phase = {
            Kind.TYPE: _Phase.TYPE,
            Kind.SEQUENCE: _Phase.SEQUENCE,
            Kind.VIEW: _Phase.VIEW,
            Kind.MATERIALIZED_VIEW: _Phase.VIEW,
        }.get(kind, _Phase.ROUTINE)
        if kind is Kind.MATERIALIZED_VIEW:
            statements[0] = materialized(statements[0])
        words = kind.value.upper()
        node = self._add(
            kind,
            name,
            [text for text in statements if not text.startswith("COMMENT ON ")],
            (phase, name, 0, "", 0),
            drop=f"DROP {words} {name}",
            owner=row.get("owner"),
        )
        self._by_name[name] = node
        self._said(statements, node)

    def _table(self, name: str, row: Row, statements: list[str]) -> None:
        head, elements, tail = cut(statements[0])
        kept: list[tuple[tuple[int, str], str, str]] = []
        later: list[tuple[str, str]] = []
        for number, text in enumerate(elements):
            element = self._with_quoted_type(text)
            constraint = CONSTRAINT.match(element)
            if constraint and (_FOREIGN_KEY.match(element) or element.endswith(" NOT VALID")):
                later.append((constraint[1], element))
            else:
                kept.append(placed(number, element))
        kept.sort()
        body = ",\n\t".join(element for _, _, element in kept)
        others = [text for text in statements[1:] if not text.startswith("COMMENT ON ")]
        node = self._add(
            Kind.TABLE,
            name,
            [f"{head}(\n\t{body}\n){tail}", *others],
            (_Phase.TABLE, name, 0, "", 0),
            drop=f"DROP TABLE {name}",
            parts=[(part, element) for _, part, element in kept],
            owner=row["owner"],
        )
        self._by_name[name] = node
        for constraint_name, element in later:
            is_key = bool(_FOREIGN_KEY.match(element))
            self._add(
                Kind.CONSTRAINT,
                f"{constraint_name} on {name}",
                [f"ALTER TABLE {name} ADD {element}"],
                (_Phase.FOREIGN_KEY if is_key else _Phase.TABLE, name, 1, constraint_name, 0),
                drop=f"ALTER TABLE {name} DROP CONSTRAINT {constraint_name}",
                parent=node,
            )
        self._said(statements, node)

    def _said(self, statements: Iterable[str], node: Node) -> None:
        """The comments that SHOW CREATE prints after an object."""
        for text in statements:
            if text.startswith("COMMENT ON "):
                target = text.removeprefix("COMMENT ON ").partition(" IS ")[0]
                self._comment(target, text, node)

    def _comment(self, target: str, text: str, node: Node) -> None:
        verb, _, rest = target.partition(" ")
        self._add(
            Kind.COMMENT,
            f"{verb.lower()} {rest}",
            [text],
            (*node.rank[:4], 5),
            drop=f"COMMENT ON {target} IS NULL",
            parent=node,
        )

    def _say_comments(self) -> None:
        for row in self._rows["comments"]:
            name = quoted_name(row["schema"])
            if row["name"] is not None:
                name = qualified(row["schema"], row["name"])
            node = self._by_name.get(name)
            if node is not None:
                target = f"{row['kind']} {name}"
                self._comment(target, f"COMMENT ON {target} IS {literal(row['description'])}", node)

    def _say_grants(self) -> None:
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self._rows["table_grants"]:
            if (row["schema"], row["name"]) not in self._own:
                found["TABLE", qualified(row["schema"], row["name"])].append(row)
        for row in self._rows["schema_grants"]:
            if row["grantee"] == self._ourselves:
                continue  # What lets us make objects there is no part of the schema.
            found["SCHEMA", quoted_name(row["schema"])].append(row)
        usable = set()
        for row in self._rows["type_grants"]:
            name = qualified(row["schema"], row["name"])
            if name not in self._by_name:
                continue  # An array type: it follows its element's.
            if (row["grantee"], row["privilege"]) == ("public", "USAGE"):
                usable.add(name)  # Every type begins so.
            else:
                found["TYPE", name].append(row)
        if self._rows["type_grants"]:
            for name, node in sorted(self._by_name.items()):
                if node.name.kind == Kind.TYPE.value and name not in usable:
                    self._grant("TYPE", name, [f"REVOKE USAGE ON TYPE {name} FROM public"], node)
        for (kind, name), rows in sorted(found.items()):
            target = self._by_name.get(name)
            if target is not None:
                self._grant(kind, name, list(grants(kind, name, rows)), target)

    def _grant(self, kind: str, name: str, statements: list[str], node: Node) -> None:
        label = node.name.kind if kind == "TABLE" else kind.lower()
        self._add(Kind.GRANTS, f"{label} {name}", statements, (*node.rank[:4], 6), parent=node)

    def _say_default_privileges(self) -> None:
        for row in self._rows["default_privileges"]:
            role = "" if row["role"] == self._ourselves else f" FOR ROLE {quoted_name(row['role'])}"
            where = f" IN SCHEMA {quoted_name(row['schema'])}" if row["schema"] else ""
            target = _DEFAULTS.get(row["type"]) or str(row["type"])
            statements = []
            for item in sorted(row["list"] or ()):
                entry = _ACL.fullmatch(item)
                if entry is None:
                    continue
                names = [
                    _LETTERS.get(letter, letter) for letter in entry["letters"] if letter != "*"
                ]
                grantee = entry["grantee"] or "public"
                if names and not (target == "TYPES" and grantee == "public" and names == ["USAGE"]):
                    statements.append(
                        f"ALTER DEFAULT PRIVILEGES{role}{where} GRANT {', '.join(sorted(names))} "
                        f"ON {target} TO {quoted_name(grantee)}"
                    )
            if statements:
                name = target.lower()
                name += role.replace("FOR ROLE", "for role", 1)
                name += where.replace("IN SCHEMA", "in schema", 1)
                rank = (_Phase.DEFAULT_PRIVILEGES, name, 0, "", 0)
                self._add(Kind.DEFAULT_PRIVILEGES, name, statements, rank)

    def _depend(self) -> None:
        for node in self._nodes:
            for text in node.statements:
                for name in names_in(text):
                    need = self._by_name.get(name)
                    if need is None or need is node:
                        continue
                    # A table that calls a routine which reads the table: the routine is first.
                    if need.rank[0] <= node.rank[0] or node.name.kind == Kind.TABLE.value:
                        node.needs.add(need)

    def _with_quoted_type(self, column: str) -> str:
        """A column's definition with its type's name as it can be read again."""
        name = ELEMENT_NAME.match(column)
        end = name.end() if name else 0
        for printed, quoted in self._odd_types:
            if column.startswith(printed, end):
                return column[:end] + quoted + column[end + len(printed) :]
        return column

    def _freed(self, text: str) -> str:
        """A statement without the name of the database it was read in."""
        pieces = []
        found = list(tokens(text))
        names = {self._database, identifier(self._database)}
        end = 0
        for number, token in enumerate(found[:-3]):
            after = found[number + 1 : number + 4]
            if (
                token.text in names
                and after[0].text == "."
                and unquoted(after[1].text) in self._schemas
                and after[2].text == "."
                and (number == 0 or found[number - 1].text != ".")
            ):
                pieces.append(text[end : token.start])
                end = after[1].start
        pieces.append(text[end:])
        quoted = re.escape(self._database)
        return re.sub(rf"nextval\('{quoted}\.", "nextval('", "".join(pieces))
