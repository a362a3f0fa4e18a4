"""Whose a schema-change job is. Pure: the one place that says so.

CockroachDB keeps no session with a job, and its list shows the jobs of every database. What it keeps is
the user, the moment, and a description: the statement as the server prints it, with qualified names. So
a job is ours if the same user made it after we sent, and if its description is our statement: verb, kind
of object, database, schema, name, and every word. It is somebody else's if one of the names or verbs
differs. Everything between is unclear: such a job does not show whether the statement took effect
nor that it did not.

Descriptions of two versions are in `tests/backend/job_descriptions.txt`.
https://www.cockroachlabs.com/docs/stable/show-jobs
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .._sql.lexer import RawStatement, TokenKind, split, tokens
from .._sql.likeness import ANYBODY, UNKNOWN_SCHEMA, Likeness, NameContext, likeness
from .._sql.schema_change import Effect, Verb
from .._sql.statement import Statement, classify, effects, makes_no_job
from .._sql.tokens import Reader, bare, head, quoted, unescaped, upper
from .jobs import Job, JobState


class Whose(Enum):
    """Whose a job is, as far as it can be known."""

    OURS = "ours"
    UNCLEAR = "unclear"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Matches:
    """The jobs that may be one statement's.

    Attributes:
        own: Those that surely are.
        unclear: Those that may be.
    """

    own: tuple[Job, ...] = ()
    unclear: tuple[Job, ...] = ()


def match_jobs(
    found: Iterable[Job], statements: Sequence[Statement], context: NameContext, *, since: float
) -> Matches:
    """Find the jobs of statements that were sent at `since`, together or alone.

    Args:
        found: Jobs.
        statements: What was sent.
        context: The session it was sent in.
        since: When, in seconds since 1970 by the clock of the node it was sent to. That node makes the
            job: no margin is needed, and none is given, or the job of the statement before would count.
    """
    own: list[Job] = []
    unclear: list[Job] = []
    for job in found:
        if not _is_of_user(job, context) or job.created + (not job.is_dated) < since:
            continue
        verdicts = {whose(job, statement, context) for statement in statements}
        if Whose.OURS in verdicts and job.created >= since:
            own.append(job)
        elif verdicts != {Whose.OTHERS}:
            unclear.append(job)
    return Matches(tuple(own), tuple(unclear))


def _is_of_user(job: Job, context: NameContext) -> bool:
    return ANYBODY in (job.user, context.user) or job.user == context.user


def whose(job: Job, statement: Statement, context: NameContext) -> Whose:
    """Whether a job's description is this statement.

    Args:
        job: The job.
        statement: The statement.
        context: What its session takes unqualified names for.
    """
    if makes_no_job(statement) or _is_clean_up(job.description):
        return Whose.OTHERS
    if job.is_cut:
        return _whose_cut(job.description, statement, context)
    verdicts = {_whose(text, statement, context) for text in _statements(job.description)}
    return next((one for one in (Whose.OURS, Whose.UNCLEAR) if one in verdicts), Whose.OTHERS)


def unfinished_on(
    found: Iterable[Job],
    statement: Statement,
    context: NameContext,
    *,
    conditional_only: bool = False,
) -> tuple[Job, ...]:
    """Anybody's jobs on an object of the statement that have not come to an end.

    Args:
        found: Jobs.
        statement: The statement.
        context: What its session takes unqualified names for.
        conditional_only: Only the objects named after IF EXISTS or IF NOT EXISTS.
    """
    wanted = [
        effect
        for effect in effects(statement)
        if effect.name is not None and (effect.conditional or not conditional_only)
    ]
    return tuple(
        job
        for job in found
        if job.state in (JobState.RUNNING, JobState.BLOCKED)
        and any(_on_same_object(one, two, context) for one in wanted for two in _effects(job))
    )


def undoes(job: Job, statement: Statement, context: NameContext) -> bool:
    """Whether a job takes an object the other way than the statement does: drops what it creates."""
    return any(
        _on_same_object(one, two, context)
        and (one.verb is Verb.CREATE) != (two.verb is Verb.CREATE)
        for one in effects(statement)
        if one.name is not None
        for two in _effects(job)
    )


# -- descriptions -----------------------------------------------------------------------------------


def _statements(description: str) -> tuple[Statement, ...]:
    """A transaction's changes of one table are one job, its statements joined by semicolons."""
    found = split(_view_placed(description))
    if found.fault is not None or not found.up:
        return (classify(RawStatement(description, 1)),)
    return tuple(classify(raw) for raw in found.up)


# What the server prints of a view: its name and its query, each quoted once more.
_VIEW = re.compile(
    r'(CREATE (?:OR REPLACE )?VIEW )"((?:[^"\\]|\\.)*)" AS "((?:[^"\\]|\\.)*)"', re.DOTALL
)


def _view_placed(description: str) -> str:
    """The same description; of a new view, with SQL's own quotes and the database it is in.

    Only the tables of its query tell the database. Its schema, where the statement names none, is whatever
    came first in the session's path: `UNKNOWN_SCHEMA`.
    """
    found = _VIEW.fullmatch(description)
    if found is None:
        return description
    head, written, query = found[1], *(unescaped(part) for part in found.group(2, 3))
    name = Reader(tokens(written)).name()
    databases = _databases(query)
    if name is None or len(name.parts) > 2 or len(databases) != 1:
        return f"{head}{written} AS {query}"
    schema = name.parts[0] if len(name.parts) == 2 else UNKNOWN_SCHEMA
    placed = ".".join(quoted(part) for part in (*databases, schema, name.last))
    return f"{head}{placed} AS {query}"


def _databases(query: str) -> set[str]:
    """The databases of the tables a query reads, as the server prints them."""
    words = list(tokens(query))
    names = (
        Reader(words[at + 1 :]).name()
        for at, token in enumerate(words)
        if upper(token) in ("FROM", "JOIN")
    )
    return {name.parts[0] for name in names if name is not None and len(name.parts) == 3}


def _effects(job: Job) -> tuple[Effect, ...]:
    if job.is_cut:
        return ()
    return tuple(effect for text in _statements(job.description) for effect in effects(text))


def _is_clean_up(description: str) -> bool:
    """What follows a change of primary key, once that is done."""
    return description.startswith("CLEANUP JOB for ")


def _whose(printed: Statement, statement: Statement, context: NameContext) -> Whose:
    theirs, mine = effects(printed), effects(statement)
    if not theirs:
        return _whose_in_words(printed.text, mine)
    if _names_differ(mine, theirs, context):
        return Whose.OTHERS
    same = likeness(statement.text, printed.text, context) is Likeness.SAME
    return Whose.OURS if same and _is_placed(theirs) else Whose.UNCLEAR


def _names_differ(mine: Sequence[Effect], theirs: Sequence[Effect], context: NameContext) -> bool:
    """Whether the two surely do different things: another verb, or another object.

    What has no name is known by its table; the rest is left to the comparison of the words.
    """
    adds_columns = any((one.verb, one.what) == (Verb.CREATE, "COLUMN") for one in mine)
    # The server prints a new column's checks and references as separate actions.
    printed = [
        two
        for two in theirs
        if not (adds_columns and (two.verb, two.what) == (Verb.CREATE, "CONSTRAINT"))
    ]
    return any(not any(_agree(one, two, context) for two in theirs) for one in mine) or any(
        not any(_agree(one, two, context) for one in mine) for two in printed
    )


def _agree(mine: Effect, theirs: Effect, context: NameContext) -> bool:
    return (mine.verb, mine.what) == (theirs.verb, theirs.what) and _object_likeness(
        mine, theirs, context
    ) is not Likeness.OTHER


def _is_placed(printed: Sequence[Effect]) -> bool:
    """Whether a description says in which database its objects are; not every one does."""
    return all(
        len(effect.on or effect.name or ()) == 3 or effect.what == "DATABASE" for effect in printed
    )


def _whose_in_words(description: str, mine: Sequence[Effect]) -> Whose:
    """A description that is not a statement: `dropping type d.public.n`, `updating view reference "v"`."""
    words = [
        bare(token)
        for token in tokens(description)
        if token.kind in (TokenKind.WORD, TokenKind.NAME)
    ]
    names = {effect.name[-1] for effect in mine if effect.name}
    names |= {effect.on[-1] for effect in mine if effect.on}
    # DROP VALUE is described by the bare name of its type.
    return Whose.UNCLEAR if names.intersection((*words, description)) else Whose.OTHERS


def _whose_cut(description: str, statement: Statement, context: NameContext) -> Whose:
    """What is left of a description can only say that a job is another's: by verb and first object."""
    left = description.partition(" … ")[0]
    words = list(tokens(left))
    whole = left[: words[-1].start].rstrip() if words else ""  # the last word may be cut itself
    theirs = effects(classify(RawStatement(whole, 1)))
    mine = effects(statement)
    if not theirs or not mine:
        return Whose.UNCLEAR
    if head(whole, 1) != head(statement.text, 1):
        return Whose.OTHERS
    one, two = mine[0], theirs[0]
    if two.on is None:
        known = one.on is not None and one.name is not None and two.name is not None
        place, seen = (one.on, two.name) if known and one.what != two.what else (one.name, two.name)
    else:
        place, seen = one.on, two.on
    if place is None or seen is None or len(seen) < 3:
        return Whose.UNCLEAR
    return Whose.OTHERS if context.likeness(place, seen) is Likeness.OTHER else Whose.UNCLEAR


# -- objects ----------------------------------------------------------------------------------------

# An index and the constraint it serves have one name.
_INDEXED = frozenset(("INDEX", "CONSTRAINT"))


def _on_same_object(mine: Effect, theirs: Effect, context: NameContext) -> bool:
    """Whether both are about one object, whatever they do to it; a description must say where it is."""
    return (
        mine.name is not None
        and theirs.name is not None
        and (mine.what == theirs.what or {mine.what, theirs.what} <= _INDEXED)
        and len(theirs.on or theirs.name) == 3
        and _object_likeness(mine, theirs, context) is not Likeness.OTHER
    )


def _object_likeness(mine: Effect, theirs: Effect, context: NameContext) -> Likeness:
    """Whether two objects are one: by name, and by the table they belong to."""
    if mine.name is None or theirs.name is None:
        if mine.name is not theirs.name or mine.on is None or theirs.on is None:
            return Likeness.OTHER
        return context.likeness(mine.on, theirs.on)
    if mine.on is None and theirs.on is None:
        return context.likeness(mine.name, theirs.name)
    if mine.name[-1] != theirs.name[-1]:
        return Likeness.OTHER
    if mine.on is not None and theirs.on is not None:
        return context.likeness(mine.on, theirs.on)
    if theirs.on is None:
        return Likeness.UNCLEAR
    # DROP INDEX i says no table: an index of that name, in the schema it would be looked for in.
    table = (*mine.name[:-1], theirs.on[-1])
    found = context.likeness(table, theirs.on)
    return Likeness.UNCLEAR if found is Likeness.SAME else found
