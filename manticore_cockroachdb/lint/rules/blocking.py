"""PostgreSQL: statements that wait for a strong lock, and transactions that keep one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..._model.commands import (
    AlterTable,
    CreateTable,
    CreateTrigger,
    Drop,
    DropIndex,
    Rebuild,
    RefreshView,
    Rename,
    SetSchema,
    Truncate,
    Write,
)
from ..finding import Severity
from ..locks import BLOCKS, table_locks
from ..rule import ON_PG, Example, Remark, Step, rule
from ..sql import scripts

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, driver_id BIGINT, city TEXT, price NUMERIC);"


_LOCKS = "https://www.postgresql.org/docs/current/explicit-locking.html"


#: What waits for a strong lock and then is quick: CREATE INDEX has its own rule.
_WAITING: Final = (
    AlterTable,
    CreateTable,
    CreateTrigger,
    Drop,
    DropIndex,
    Rebuild,
    RefreshView,
    Rename,
    SetSchema,
    Truncate,
)


@rule(
    "lock-timeout",
    Severity.WARNING,
    ON_PG,
    "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT",
    Example("ALTER TABLE rides ADD COLUMN note TEXT;", _RIDES),
    on=_WAITING,
)
def lock_timeout(step: Step) -> Iterator[Remark]:
    """A statement that waits for a strong lock makes everybody after it wait, too.

    While an ALTER TABLE waits for one long SELECT, every new query on the table has to
    wait for both. A new foreign key locks the table it refers to as well, also in CREATE TABLE.
    With `-- manticore: lock_timeout=2s`, in the script's header or before the statement, it
    is rolled back after that time and sent again later. Reported once for each script.
    """
    found = table_locks(step.read.command, step.before)
    locks = [one for one in found if not step.is_new(one.table)]
    if not locks or step.waits_limited:
        return
    if any(isinstance(read.command, _WAITING) for read, _ in step.script.locks):
        return
    table, mode = locks[0]
    yield Remark(
        f"It waits for an {mode} lock on {table} without a limit, and new queries on the table "
        "have to wait for it."
        if mode.startswith("A")
        else f"It waits for a {mode} lock on {table} without a limit, and new writes have to wait for it.",
        f"-- manticore: lock_timeout=2s\n{step.text};",
    )


@rule(
    "change-then-write",
    Severity.WARNING,
    ON_PG,
    _LOCKS,
    Example(
        "ALTER TABLE rides ADD COLUMN note TEXT;\n"
        "-- manticore: allow=large-write there are few rides\n"
        "UPDATE rides SET note = '' WHERE city = 'Rome';",
        _RIDES,
    ),
    on=(Write,),
)
def change_then_write(step: Step) -> Iterator[Remark]:
    """Rows written after a schema change in one transaction are written under its lock.

    The lock is kept until the transaction ends, so everybody waits for the writing, too. Write
    the rows in the next script.
    """
    command = step.read.command
    if not isinstance(command, Write) or not step.script.one_transaction:
        return
    if command.verb == "INSERT" and not command.from_query:
        return
    for earlier, lock in step.script.locks:
        if step.before.table(lock.table) is not None:
            yield Remark(
                f"This {command.verb} runs while the transaction holds the {lock.mode} lock of line "
                f"{earlier.line}, which blocks {BLOCKS[lock.mode]} of {lock.table}.",
                scripts(f"{earlier.text};", f"{step.text};"),
            )
            return
