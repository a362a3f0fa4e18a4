"""Which scripts may share one transaction with each other on a fresh CockroachDB database. Pure.

Schema changes of tables that a transaction itself made are carried out before its COMMIT, with no job
after it: they are as atomic as rows, and many times faster than one transaction each. A change of
anything older would continue as a job after COMMIT, and may fail when the ledger has its row already:
such a script is run alone. Privileges and owners are part of what the transaction writes, whatever has
them: the job after GRANT only waits until every node knows of it, and has nothing that could fail (seen
on v22.1).
https://www.cockroachlabs.com/docs/stable/online-schema-changes
"""

from __future__ import annotations

from dataclasses import dataclass

from .._sql.lexer import TokenKind, tokens
from .._sql.server_kind import ServerKind
from .._sql.statement import Kind, Statement, object_names, refuses_transaction, target_name
from .._sql.tokens import Reader, head, upper
from .segments import Prepared

#: Scripts in one transaction at most: a lost one is run again from its start.
MOST_SCRIPTS = 128

_MODIFIERS = frozenset({"UNIQUE", "INVERTED", "TEMP", "TEMPORARY", "OR", "REPLACE"})
#: Tokens of `database.schema.table`.
_LONGEST_NAME = 5
_JOBLESS = frozenset({"TYPE", "SCHEMA", "SEQUENCE", "VIEW"})


@dataclass(frozen=True, slots=True)
class Batch:
    """Scripts that share a transaction.

    Attributes:
        made: Bare names of the tables that the transaction has made.
        changed_schema: Whether it has changed the schema.
        wrote: Whether it has written rows: a script's, or the ledger's after each script.
    """

    made: frozenset[str] = frozenset()
    changed_schema: bool = False
    wrote: bool = False

    def joined_by(self, prepared: Prepared) -> Batch | None:
        """The batch with one more script; None if that script must begin another transaction.

        Servers before v22.1 refuse a transaction's first schema change after a write in it.
        https://github.com/cockroachdb/cockroach/issues/69938
        """
        made, changed_schema, wrote = self.made, self.changed_schema, self.wrote
        for statement in prepared.statements:
            if statement.kind is Kind.DATA:
                wrote = True
                continue
            if statement.kind is not Kind.SCHEMA or (wrote and not changed_schema):
                return None
            grown = _joins(statement, made)
            if grown is None:
                return None
            made, changed_schema = grown, True
        return Batch(made, changed_schema, wrote=True)


def _joins(statement: Statement, made: frozenset[str]) -> frozenset[str] | None:
    if refuses_transaction(statement, ServerKind.COCKROACHDB):
        return None
    verb, *rest = head(statement.text, 5)
    what = next((word for word in rest if word not in _MODIFIERS), "")
    if verb == "COMMENT" or _is_about_privileges(statement):
        return made
    if verb == "CREATE" and what == "TABLE":
        grown = made | set(object_names(statement)[:1])
        return grown if _is_plain(statement) and _referenced(statement) <= grown else None
    if verb == "CREATE" and what in _JOBLESS:
        return made
    if (verb, what) in (("CREATE", "INDEX"), ("ALTER", "TABLE")):
        target = target_name(statement)
        return made if target is not None and target[1] in made else None
    return None


def _is_about_privileges(statement: Statement) -> bool:
    """GRANT and REVOKE on objects, default privileges, and the owner of anything but a table."""
    words = [upper(token) for token in tokens(statement.text)]
    match words[:2]:
        case ["GRANT" | "REVOKE", _]:
            return "ON" in words  # Else it is about the membership of a role.
        case ["ALTER", "DEFAULT"]:
            return words[2:3] == ["PRIVILEGES"]
        case ["ALTER", what]:
            return what in _JOBLESS and words[-3:-1] == ["OWNER", "TO"]
        case _:
            return False


def _referenced(statement: Statement) -> frozenset[str]:
    """The tables that its foreign keys refer to: a table with a key to an older one is public by a job."""
    words = list(tokens(statement.text))
    places = (at for at, token in enumerate(words) if upper(token) == "REFERENCES")
    names = (Reader(words[at + 1 : at + 1 + _LONGEST_NAME]).name() for at in places)
    return frozenset("" if name is None else name.last for name in names)


def _is_plain(statement: Statement) -> bool:
    """Whether its table begins empty: CREATE TABLE … AS fills it by a job."""
    depth = 0
    for token in tokens(statement.text):
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif not depth and token.kind is TokenKind.WORD and token.text.upper() == "AS":
            return False
    return True
