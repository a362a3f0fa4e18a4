"""The reasons not to run a script on this server, in the mode that it would run in. Pure.

All of it is found before the first statement is sent.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._backend.dialect import Server
from .._scripts.direction import Direction
from .._scripts.script import Isolation, Mode
from .._sql.session_effects import other_encoding, unclear_setting
from .._sql.statement import Statement, refuses_transaction
from .._store.snapshot import Progress
from ..errors import Problem
from .losses import losing_problems
from .segments import prepare
from .step import Step


def step_problems(
    steps: Iterable[Step], server: Server, default: Mode | None, progress: Progress | None
) -> list[Problem]:
    """Every reason not to run these steps.

    Args:
        steps: The steps.
        server: The server.
        default: The mode of files that ask for none; None means the server's default.
        progress: What an earlier run left unfinished: statements that it has done or sent are left alone.
    """
    return [
        problem
        for step in steps
        for problem in (
            *header_problems(step, server),
            *session_problems(step, server, default),
            *losing_problems(step, server, default, start=_begun(step, progress)),
        )
    ]


def fake_problems(steps: Iterable[Step], server: Server, default: Mode | None) -> list[Problem]:
    """The reasons not to record these steps as done, without sending their statements."""
    return [
        problem
        for step in steps
        for problem in (*header_problems(step, server), *session_problems(step, server, default))
    ]


def _begun(step: Step, progress: Progress | None) -> int:
    """How many statements of a step are done or in flight."""
    if progress is None or (progress.key, progress.direction) != (step.key, step.direction):
        return 0
    return progress.done + progress.in_flight


def header_problems(step: Step, server: Server) -> list[Problem]:
    """What the header of a script asks for and this server cannot do."""
    script = step.script
    problems: list[Problem] = []
    if server.serializable_only and script.isolation not in (None, Isolation.SERIALIZABLE):
        problems.append(
            Problem(
                f"on {server.kind.value} scripts run at isolation level serializable, and the file says "
                f"isolation={script.isolation.value}.",
                path=step.path,
                version=step.version or None,
                hint="Remove the option.",
            )
        )
    if script.mode in (Mode.ATOMIC, Mode.AUTOCOMMIT):
        problems += (
            Problem(
                f"batch= runs this statement in its own transactions, and the file says "
                f"mode={script.mode.value}. Move it into a separate script, or remove the mode.",
                path=step.path,
                line=statement.line,
                version=step.version or None,
            )
            for statement in step.statements()
            if statement.batch is not None
        )
    if script.mode is Mode.ATOMIC:
        problems += (
            Problem(
                f"{server.kind.value} does not run this statement inside a transaction, and the file "
                "says mode=atomic.",
                path=step.path,
                line=statement.line,
                version=step.version or None,
                hint="Move it into a separate script, or remove the mode.",
            )
            for statement in step.statements()
            if refuses_transaction(statement, server.kind)
        )
    return problems


_SETTINGS = ("set_config", "client_encoding", "names")
_UNCLEAR = (
    "set_config(…) does not plainly say whether its setting ends with the transaction, and in mode={mode} "
    "a script is more than one. Write false as its third argument: the setting then holds for the rest of "
    "the script, and no longer."
)
_MISREAD = (
    "after client_encoding is {encoding}, the server would misread what is not ASCII in the rest of the "
    "script: files are UTF-8, and so is the connection. Remove this statement."
)


def session_problems(step: Step, server: Server, default: Mode | None = None) -> list[Problem]:
    """Settings of a script that could not be kept.

    Args:
        step: The step.
        server: The server.
        default: As for `prepare`.
    """
    script = step.script
    text = (script.up_sql if step.direction is Direction.UP else script.down_sql or "").lower()
    if not any(word in text for word in _SETTINGS):  # a quick look: most scripts have none
        return []
    prepared = prepare(step, server, default)
    found: list[tuple[Statement, str]] = []
    for number, statement in enumerate(prepared.statements):
        if prepared.mode is not Mode.ATOMIC and unclear_setting(statement):
            found.append((statement, _UNCLEAR.format(mode=prepared.mode.value)))
        encoding = other_encoding(statement)
        later = "".join(each.text for each in prepared.statements[number + 1 :]) if encoding else ""
        if not later.isascii():
            found.append((statement, _MISREAD.format(encoding=encoding)))
    return [
        Problem(message, path=step.path, line=statement.line, version=step.version or None)
        for statement, message in found
    ]
