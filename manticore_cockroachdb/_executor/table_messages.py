"""Messages for statements on our tables that the server refuses. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from .._backend.dialect import Server
from .._planner.step import Step
from .._scripts.direction import Direction
from .._sql.statement import Kind, Statement, summary
from .._sql.tokens import head
from .._store.fenced import LOST
from .._store.ledger import Tables
from ..errors import DatabaseError


def gone(
    tables: Tables, error: DatabaseError, statement: Statement | None, now_in: str | None = None
) -> str:
    """The tables, or their rows, are not where the run left them.

    Args:
        tables: The tables.
        error: What the server said.
        statement: The statement that took them away, as far as it is known.
        now_in: The schema that they are in now, where it is another one.
    """
    said = "the run's row is no longer in it" if error.sqlstate == LOST else str(error)
    cause = (
        "They were dropped, moved or changed during the run."
        if statement is None
        else f"{summary(statement)} removes them."
    )
    way = (
        f"They are in schema {now_in} now. Name them there (table='{now_in}.{tables.name}', TABLE in the "
        f"MANTICORE setting), or put {now_in} on the search_path, and run the same command again: it "
        "continues after this statement."
        if now_in is not None
        else "Drop or rename a database by hand, outside its migrations."
        if statement is not None and "DATABASE" in head(statement.text, 2)
        else "Keep the ledger in its own "
        "schema (table='manticore._migrations', TABLE in the MANTICORE setting)."
    )
    return (
        f"the ledger's tables ({tables.place} and {tables.state_place}) can no longer be written: "
        f"{said}. {cause} {way}"
    )


def takes_away(statements: Sequence[Statement], tables: Tables) -> Statement | None:
    """The first statement that drops or renames a schema or database, or names the ledger's tables."""
    for statement in statements:
        words = head(statement.text, 2)
        if statement.kind is not Kind.SCHEMA or words[:1] not in (("DROP",), ("ALTER",)):
            continue
        if words[1] in ("SCHEMA", "DATABASE", "OWNED") or tables.name in statement.text:
            return statement
    return None


def hidden(tables: Tables, error: DatabaseError) -> str:
    """Row-level security keeps the run from its own row."""
    off = sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY").format(
        sql.Identifier(tables.schema, tables.state_name)
    )
    said = "" if error.sqlstate == LOST else f" ({error})"
    return (
        f"row-level security on {tables.state_place} hides the run's row from this role{said}. Disable it "
        f"on the ledger's tables: {off.as_string(None)}."
    )


def refused(tables: Tables, server: Server, error: DatabaseError) -> str:
    """The role may not read or write the tables."""
    names = tables.names if tables.has_repeatables else tables.names[:2]
    grant = sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(
        sql.SQL(", ").join(sql.Identifier(tables.schema, name) for name in names),
        sql.Identifier(server.user),
    )
    return (
        f"the ledger's tables cannot be used: {error}. Have an administrator run: "
        f"{grant.as_string(None)}."
    )


def not_written(tables: Tables, error: DatabaseError, step: Step) -> str:
    """The server refused a write for a reason that has nothing to do with the tables themselves."""
    opposite = "--not-applied" if step.direction is Direction.UP else "--applied"
    return (
        f"the ledger's tables ({tables.place} and {tables.state_place}) could not be written: {error}. "
        "Remove the cause, and run again. If it is a setting of the script, first revert by hand what "
        f"the script did, and record that with manticore_resolve {opposite} {step.key}."
    )


def not_made(tables: Tables, server: Server, error: DatabaseError) -> str:
    """The role may not make the tables."""
    grant = sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(
        sql.Identifier(tables.schema), sql.Identifier(server.user)
    )
    return (
        f"The ledger's tables ({tables.place} and {tables.state_place}) could not be created: "
        f"{error}. Have "
        f"an administrator run: {grant.as_string(None)}. Or name a schema that {server.user} may create "
        f"tables in (table='app.{tables.name}', TABLE in the MANTICORE setting)."
    )


def not_taken_over(tables: Tables, server: Server, error: DatabaseError) -> str:
    """The role may not add the columns that older tables lack."""
    return (
        f"The ledger's tables ({tables.place} and {tables.state_place}) lack columns of this version, and "
        f"{server.user} may not add them: {error}. Have their owner call initialize() of Migration once."
    )


def read_only(server: Server, reason: str) -> str:
    """The session can write nothing."""
    off = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = off").format(
        sql.Identifier(server.database)
    )
    way = (
        "Connect to the primary."
        if "standby" in reason
        else f"To change it nevertheless, turn that off ({off.as_string(None)}, or the same for the role)."
    )
    return (
        f"The database {server.database} is read-only: {reason}. Nothing was run. {way} Listing and "
        "planning still work."
    )
