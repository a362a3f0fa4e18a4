"""What the catalogs show of a statement that was in flight: whether it took effect. Pure.

Before a statement is sent whose second sending could do harm, the catalogs are read for what it is about
to change, and a fingerprint of each object is recorded. After a crash they are read again:

* DROP: the objects that were there are all still there → it did not take effect; none is → it did.
* TRUNCATE: the contents are the very same → it did not take effect. Anything else is unclear, since
  other statements give a table new contents too.
* An index or constraint without a name: nothing was added → it did not take effect; what was added is
  what the statement makes, by its definition → it did; what was added is surely something else → it did
  not.

Counting would not do: anybody may add an index meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from enum import Enum

from .._sql.lexer import Token, tokens
from .._sql.likeness import Likeness, NameContext, likeness
from .._sql.schema_change import Repeat, Verb
from .._sql.statement import Statement, effects, repeatable
from .._sql.tokens import head, upper

#: An object's name and its definition or identity, as the catalogs show them.
Trace = tuple[str, str]


class Evidence(Enum):
    """What the catalogs tell of a statement."""

    ABSENT = "absent"
    """It did not take effect."""
    PRESENT = "present"
    """It took effect."""
    UNCLEAR = "unclear"


def fingerprints(traces: Sequence[Trace]) -> str:
    """What to record of the objects there are before a statement is sent."""
    return " ".join(sorted({_fingerprint(trace) for trace in traces}))


def _fingerprint(trace: Trace) -> str:
    return hashlib.sha256("\0".join(trace).encode()).hexdigest()[:16]


def compare(statement: Statement, before: str | None, now: Sequence[Trace] | None) -> Evidence:
    """What happened to a statement.

    Args:
        statement: The statement.
        before: What `fingerprints` made of the objects before it was sent, or None: not asked.
        now: The objects there are now, or None: not asked.
    """
    if before is None or now is None:
        return Evidence.UNCLEAR
    old = set(before.split())
    if repeatable(statement) is Repeat.UNNAMED:
        new = [
            definition
            for trace in now
            if _fingerprint(trace) not in old
            for definition in trace[1:]
        ]
        return _of_unnamed(statement, new)
    there = {_fingerprint(trace) for trace in now}
    if there == old:
        return Evidence.ABSENT
    if any(effect.verb is Verb.TRUNCATE for effect in effects(statement)):
        return Evidence.UNCLEAR
    return Evidence.PRESENT if old and there.isdisjoint(old) else Evidence.UNCLEAR


# -- indexes and constraints without a name ---------------------------------------------------------


def _of_unnamed(statement: Statement, new: list[str]) -> Evidence:
    wanted = [_index(statement.text)] if head(statement.text, 1) == ("CREATE",) else []
    wanted = wanted or list(_constraints(statement.text))
    found = [[_likeness(one, definition) for definition in new] for one in wanted]
    if wanted and all(Likeness.SAME in row for row in found):
        return Evidence.PRESENT
    if all(one is Likeness.OTHER for row in found for one in row):
        return Evidence.ABSENT
    return Evidence.UNCLEAR


#: Definitions name no other object that would have to be looked up.
_NOWHERE = NameContext("", (), "")


def _likeness(written: str, definition: str) -> Likeness:
    """Whether a definition of the catalogs is what a statement asks for."""
    if definition[:6].upper() == "CREATE":
        definition = _index(definition)
    mine = [upper(token) for token in tokens(written)]
    theirs = [upper(token) for token in tokens(definition)]
    if mine[0] != theirs[0]:
        return Likeness.OTHER  # a CHECK is not a UNIQUE
    if likeness(_as_action(written), _as_action(definition), _NOWHERE) is Likeness.SAME:
        return Likeness.SAME
    if mine[0] == "FOREIGN":
        return Likeness.UNCLEAR if _list(mine) == _list(theirs) else Likeness.OTHER
    return Likeness.OTHER if _is_plain(mine) and _is_plain(theirs) else Likeness.UNCLEAR


def _as_action(text: str) -> str:
    """In one clause that both servers print alike; validity comes and goes."""
    words = list(tokens(text))
    if [upper(token) for token in words[-2:]] == ["NOT", "VALID"]:
        text = text[: words[-2].start]
    return f"ALTER TABLE t ADD {text}"


def _index(text: str) -> str:
    """An index without its name and its table: `UNIQUE INDEX (a, b)`."""
    unique = "UNIQUE" in head(text, 3)
    rest = _after_table(list(tokens(text)))
    return f"{'UNIQUE ' if unique else ''}INDEX {text[rest.start :] if rest else ''}"


def _after_table(words: list[Token]) -> Token | None:
    """What follows `ON [ONLY] schema.table` and `USING btree`."""
    at = next((i for i, token in enumerate(words) if upper(token) == "ON"), len(words)) + 1
    at += at < len(words) and upper(words[at]) == "ONLY"
    at += 1
    while at + 1 < len(words) and words[at].text == ".":
        at += 2
    if [upper(token) for token in words[at : at + 2]] == ["USING", "BTREE"]:
        at += 2
    return words[at] if at < len(words) else None


def _constraints(text: str) -> Iterator[str]:
    """The constraints without a name that an ALTER TABLE adds."""
    words = list(tokens(text))
    depth, start = 0, None
    for at, token in enumerate(words):
        if start is not None and token.text == "," and not depth:
            yield text[start : token.start]
            start = None
        elif not depth and upper(token) == "ADD":
            following = words[at + 1] if at + 1 < len(words) else None
            if following and upper(following) in ("UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"):
                start = following.start
        depth += (token.text == "(") - (token.text == ")")
    if start is not None:
        yield text[start:]


def _list(words: list[str]) -> list[str]:
    """The first list in parentheses, its names in small letters."""
    if "(" not in words or ")" not in words:
        return []
    return [word.strip('"').lower() for word in words[words.index("(") : words.index(")")]]


_PLAIN = frozenset(("UNIQUE", "INDEX", "(", ")", ",", "ASC", "DESC", "STORING", "INCLUDE"))


def _is_plain(words: list[str]) -> bool:
    """Whether it is a list of columns and nothing else, which every server prints alike."""
    if words[0] not in ("UNIQUE", "INDEX") or words.count("(") != 1 or words[-1] != ")":
        return False
    return all(word in _PLAIN or word.strip('"').isidentifier() for word in words)
