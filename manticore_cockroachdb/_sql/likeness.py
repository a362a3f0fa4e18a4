"""Whether two texts are one statement, although a person wrote the one and CockroachDB the other.

CockroachDB describes a schema-change job by the statement as its formatter prints it: comments gone,
names qualified, types by their own names, every operator in parentheses, a new column's CHECK and
REFERENCES as separate actions. Both texts are brought into one form and compared word by word. Two
forms that differ prove nothing, since no list of what a formatter does is complete. It asks no server.

The printed forms were seen on v21.1 and v22.1; the rules are those of the server's formatter:
https://github.com/cockroachdb/cockroach/tree/master/pkg/sql/sem/tree
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from .lexer import Token, TokenKind, tokens
from .tokens import bare, string_value, word_set


class Likeness(Enum):
    """What a comparison found."""

    SAME = "same"
    UNCLEAR = "unclear"
    OTHER = "other"


ANYBODY: Final = ""
#: In place of a schema that a printed name does not tell; no schema has this name.
UNKNOWN_SCHEMA: Final = ""


@dataclass(frozen=True, slots=True)
class NameContext:
    """What a session takes a name for that is not qualified.

    Attributes:
        database: The database it is connected to.
        schemas: The schemas along its search_path that exist, first to last.
        user: Whose rights it has, or `ANYBODY` where that does not matter.
    """

    database: str
    schemas: tuple[str, ...]
    user: str

    def likeness(self, written: tuple[str, ...], printed: tuple[str, ...]) -> Likeness:
        """Whether a name in a statement is the object that the server's qualified name names.

        Args:
            written: The parts of the name in the statement.
            printed: The parts of the name as the server prints it.
        """
        if written[-1] != printed[-1]:
            return Likeness.OTHER
        if len(printed) < 3:
            return self._half_printed(written, printed)
        database, schema, _ = printed
        if schema == UNKNOWN_SCHEMA:
            mine = written[0] if len(written) > 2 else self.database
            return Likeness.UNCLEAR if mine == database else Likeness.OTHER
        if len(written) > 2:
            return Likeness.SAME if written[-3:] == printed else Likeness.OTHER
        if len(written) == 2 and written[0] == database and schema == "public":
            # CockroachDB reads a.t as a.public.t where there is no schema a.
            return Likeness.UNCLEAR
        if database != self.database:
            return Likeness.OTHER
        if len(written) == 2:
            return Likeness.SAME if written[0] == schema else Likeness.OTHER
        # Whatever comes first in the path hides the same name in later schemas.
        return Likeness.SAME if self.schemas[:1] == (schema,) else Likeness.UNCLEAR

    @staticmethod
    def _half_printed(written: tuple[str, ...], printed: tuple[str, ...]) -> Likeness:
        shorter = min(len(written), len(printed))
        agree = written[-shorter:] == printed[-shorter:]
        return Likeness.UNCLEAR if agree else Likeness.OTHER


class _Term(NamedTuple):
    """One word of the common form: its kind and what it says.

    A keyword is a name of one part: both texts are read by the same rule, so nothing is lost.
    """

    kind: str
    parts: tuple[str, ...]

    @property
    def word(self) -> str:
        """The only part of a name, or an operator; "" for anything else."""
        return self.parts[0] if len(self.parts) == 1 and self.kind != "string" else ""


@dataclass(frozen=True, slots=True)
class _Part:
    """A clause of a statement: its words without parentheses, and which words those stood around."""

    words: tuple[_Term, ...]
    spans: frozenset[tuple[int, int]]


def likeness(written: str, printed: str, context: NameContext) -> Likeness:
    """Compare a statement with what a server printed; never `OTHER`, which only names can prove.

    Args:
        written: The statement.
        printed: The server's text.
        context: What the statement's session takes unqualified names for.
    """
    mine, theirs = _parts(written), _parts(printed)
    if len(mine) != len(theirs):
        return Likeness.UNCLEAR
    same = all(_same_part(one, two, context) for one, two in zip(mine, theirs, strict=True))
    return Likeness.SAME if same else Likeness.UNCLEAR


def _same_part(mine: _Part, theirs: _Part, context: NameContext) -> bool:
    return (
        len(mine.words) == len(theirs.words)
        and all(map(_same_word, mine.words, theirs.words, [context] * len(mine.words)))
        and mine.spans <= theirs.spans
        and all(_is_redundant(theirs, span) for span in theirs.spans - mine.spans)
    )


def _same_word(mine: _Term, theirs: _Term, context: NameContext) -> bool:
    if mine == theirs:
        return True
    if mine.kind != "name" or theirs.kind != "name" or len(theirs.parts) != 3:
        return False
    return context.likeness(mine.parts, theirs.parts) is Likeness.SAME


# -- parentheses ------------------------------------------------------------------------------------

# How tightly operators bind: the formatter puts each operation into its own parentheses.
# https://www.cockroachlabs.com/docs/stable/functions-and-operators#operators
_BINDING: Final = {
    "or": 1, "and": 2, "not": 3, "is": 4, "isnull": 4, "notnull": 4,
    **dict.fromkeys(("<", ">", "=", "!=", "<=", ">="), 5),
    **dict.fromkeys(("between", "in", "like", "ilike", "similar", "overlaps"), 6),
    **dict.fromkeys(("+", "-"), 8), **dict.fromkeys(("*", "/", "%", "//"), 9), "^": 10,
    "collate": 11, "::": 12,
}  # fmt: skip
_OTHER_OPERATORS: Final = 7


def _binding(term: _Term) -> int | None:
    if term.kind == "operator":
        return _BINDING.get(term.word, _OTHER_OPERATORS)
    return _BINDING.get(term.word) if term.kind == "name" else None


def _is_redundant(part: _Part, span: tuple[int, int]) -> bool:
    """Whether the parentheses around these words change nothing in what the others mean."""
    start, end = span
    loosest = _loosest(part, start, end)
    if loosest is None:
        return False
    before = _binding(part.words[start - 1]) if start else None
    after = _binding(part.words[end]) if end < len(part.words) else None
    return (before is None or before < loosest) and (after is None or after <= loosest)


def _loosest(part: _Part, start: int, end: int) -> int | None:
    """How tightly the loosest operator inside binds; None where it is a list of several things."""
    inner = [
        span for span in part.spans if start <= span[0] and span[1] <= end and span != (start, end)
    ]
    loosest = max(_BINDING.values()) + 1
    between = 0
    for at in range(start, end):
        if any(one <= at < two for one, two in inner):
            continue
        term = part.words[at]
        if term.word == ",":
            return None
        if term.word == "between":
            between += 1
        elif term.word == "and" and between:
            between -= 1  # the AND of BETWEEN … AND …
            continue
        binding = _binding(term)
        loosest = loosest if binding is None else min(loosest, binding)
    return loosest


# -- one form for both ------------------------------------------------------------------------------

_Terms = list[_Term]


def _parts(text: str) -> list[_Part]:
    terms = _sugar_removed(_typed(list(_terms(text))))
    if _words(terms[:2]) != ["alter", "table"]:
        return [_flat(terms)]
    head = 2
    if _words(terms[2:4]) == ["if", "exists"]:
        head = 4
    actions = [piece for action in _split(terms[head + 1 :]) for piece in _lifted(_action(action))]
    actions.sort(key=lambda action: [(term.kind, term.parts[-1:]) for term in action])
    return [_flat(terms[: head + 1]), *map(_flat, actions)]


def _words(terms: Sequence[_Term]) -> list[str]:
    return [term.word for term in terms]


def _flat(terms: _Terms) -> _Part:
    words: _Terms = []
    opened: list[int] = []
    spans: set[tuple[int, int]] = set()
    for term in terms:
        if term.word == "(":
            opened.append(len(words))
        elif term.word == ")" and opened:
            spans.add((opened.pop(), len(words)))
        else:
            words.append(term)
    return _Part(tuple(words), frozenset(spans))


_OPERATOR: Final = frozenset("+-*/<>=~!@#%^&|?:")
_PLAIN: Final = frozenset("+-*/<>=%:")


def _terms(text: str) -> Iterator[_Term]:
    """The words of a text: dotted names and runs of operator signs are one each."""
    found = list(tokens(text))
    at = 0
    while at < len(found):
        token = found[at]
        if token.kind in (TokenKind.WORD, TokenKind.NAME):
            parts = [bare(token)]
            quoted = token.kind is TokenKind.NAME
            while at + 2 < len(found) and found[at + 1].text == "." and _is_name(found[at + 2]):
                at += 2
                parts.append(bare(found[at]))
            yield _Term("quoted" if quoted and len(parts) == 1 else "name", tuple(parts))
        elif token.kind is TokenKind.STRING:
            yield _Term("string", (string_value(token.text),))
        elif token.text in _OPERATOR:
            end = at + 1
            while end < len(found) and found[end].text in _OPERATOR and _adjoins(found, end):
                end += 1
            signs = "".join(one.text for one in found[at:end])
            # As PostgreSQL reads them: a sign may follow an operator without a space.
            while len(signs) > 1 and signs[-1] in "+-" and _PLAIN.issuperset(signs):
                signs = signs[:-1]
                end -= 1
            yield _Term("operator", ("!=" if signs == "<>" else "::" if signs == ":::" else signs,))
            at = end - 1
        else:
            yield _Term("symbol", (token.text,))
        at += 1


def _is_name(token: Token) -> bool:
    return token.kind in (TokenKind.WORD, TokenKind.NAME)


def _adjoins(found: Sequence[Token], at: int) -> bool:
    return found[at - 1].end == found[at].start


# The server's own names of types. https://www.cockroachlabs.com/docs/stable/data-types
_TYPES: Final = {
    **dict.fromkeys(("int", "integer", "bigint", "int64"), "int8"),
    **dict.fromkeys(("smallint",), "int2"),
    **dict.fromkeys(("text",), "string"),
    **dict.fromkeys(("numeric", "dec"), "decimal"),
    **dict.fromkeys(("float",), "float8"), "real": "float4", "boolean": "bool",
    **dict.fromkeys(("bytea", "blob"), "bytes"), "json": "jsonb", "character": "char",
    **dict.fromkeys(("serial", "bigserial"), "serial8"), "smallserial": "serial2",
}  # fmt: skip
_LONG_TYPES: Final = (
    (("double", "precision"), "float8"),
    (("character", "varying"), "varchar"),
    (("char", "varying"), "varchar"),
    (("bit", "varying"), "varbit"),
    (("timestamp", "with", "time", "zone"), "timestamptz"),
    (("timestamp", "without", "time", "zone"), "timestamp"),
    (("time", "with", "time", "zone"), "timetz"),
    (("time", "without", "time", "zone"), "time"),
)


def _typed(terms: _Terms) -> _Terms:
    """Types by the server's names."""
    found: _Terms = []
    at = 0
    while at < len(terms):
        for words, name in _LONG_TYPES:
            if tuple(_words(terms[at : at + len(words)])) == words:
                found.append(_Term("name", (name,)))
                at += len(words)
                break
        else:
            term = terms[at]
            alias = _TYPES.get(term.word) if term.kind == "name" else None
            if term.word == "array" and terms[at + 1 : at + 2] != [_OPENED]:
                found += (_OPENED, _CLOSED)  # TEXT ARRAY is STRING[]
            else:
                found.append(term if alias is None else _Term("name", (alias,)))
            at += 1
    return [term._replace(kind="name") if term.kind == "quoted" else term for term in found]


_OPENED: Final = _Term("symbol", ("[",))
_CLOSED: Final = _Term("symbol", ("]",))
_KINDS_OF_INDEX: Final = frozenset(("gin", "inverted", "gist"))
_WITHOUT_ARGUMENTS: Final = word_set(
    "current_catalog current_date current_role current_schema current_time current_timestamp "
    "current_user localtime localtimestamp session_user user"
)
# Words that change nothing for CockroachDB, or that it may print or leave out.
_NOISE: Final = frozenset(("asc", "concurrently"))
_SYNONYMS: Final = {"include": "storing", "covering": "storing"}
_TYPED_LITERALS: Final = word_set("bytes date interval time timestamp timestamptz timetz uuid")


def _sugar_removed(terms: _Terms) -> _Terms:
    """One spelling for what the grammar lets people spell in several ways."""
    found: _Terms = []
    at = 0
    while at < len(terms):
        term, word = terms[at], terms[at].word
        following = _words(terms[at + 1 : at + 3])
        at += 1
        if word in _NOISE or (word == "only" and found and found[-1].word in ("table", "on")):
            continue
        if word == "using" and following[:1] == ["btree"]:
            at += 1
        elif word == "using" and following[:1] and following[0] in _KINDS_OF_INDEX:
            place = next(
                i for i, one in enumerate([*found, term]) if one.word in ("index", "using")
            )
            found.insert(place, _Term("name", ("inverted",)))
            at += 1
        elif word in _WITHOUT_ARGUMENTS and following == ["(", ")"]:
            found.append(term)
            at += 2
        elif word == "::" and found and found[-1].kind == "string":
            at = _after_type(terms, at)
        elif word in _TYPED_LITERALS and terms[at : at + 1] and terms[at].kind == "string":
            continue
        elif word == "truncate" and not found and following[:1] != ["table"]:
            found += (term, _Term("name", ("table",)))
        else:
            found.append(_Term("name", (_SYNONYMS[word],)) if word in _SYNONYMS else term)
    return found


def _after_type(terms: _Terms, at: int) -> int:
    """Where a type ends that begins here: `STRING`, `VARCHAR(10)`, `INT8[]`."""
    at += 1
    for opening, closing in ("()", "[]"):
        if at < len(terms) and terms[at].word == opening:
            inside = _words(terms[at:])
            at += (inside.index(closing) if closing in inside else len(inside)) + 1
    return at


# -- the actions of ALTER TABLE ---------------------------------------------------------------------

_COLUMN: Final = _Term("name", ("column",))
_NO_COLUMN: Final = {
    "add": word_set("column constraint primary unique check foreign exclude"),
    "drop": word_set("column constraint"),
    "alter": word_set("column primary constraint"),
    "rename": word_set("column constraint to"),
}
_CLAUSES: Final = word_set(
    "not null default check references unique primary constraint as generated on create family"
)


def _split(terms: _Terms) -> list[_Terms]:
    """At the commas outside parentheses."""
    pieces: list[_Terms] = [[]]
    depth = 0
    for term in terms:
        depth += (term.word in ("(", "[")) - (term.word in (")", "]"))
        if term.word == "," and not depth:
            pieces.append([])
        else:
            pieces[-1].append(term)
    return [piece for piece in pieces if piece]


def _action(terms: _Terms) -> _Terms:
    verb = terms[0].word
    if verb in _NO_COLUMN and terms[1:] and terms[1].word not in _NO_COLUMN[verb]:
        terms = [terms[0], _COLUMN, *terms[1:]]
    words = _words(terms)
    if words[:2] == ["alter", "column"] and words[3:4] == [_type_word(words)]:
        terms = [*terms[:3], _Term("name", ("set",)), _Term("name", ("data",)), *terms[3:]]
    return terms


def _type_word(words: list[str]) -> str:
    return "type" if words[3:4] == ["type"] else ""


def _lifted(action: _Terms) -> list[_Terms]:
    """An action, with the checks and references of a new column as separate actions."""
    words = _words(action)
    if words[:2] != ["add", "column"]:
        return [action]
    head = 6 if words[2:5] == ["if", "not", "exists"] else 3
    column = action[head - 1 : head]
    kept, actions = action[:head], list[_Terms]()
    clauses = list(_clauses(action[head:]))
    kept += clauses[0]
    rest: list[_Terms] = []
    named: _Terms = []
    for clause in clauses[1:]:
        word = clause[0].word
        if word == "constraint":
            named = clause
            continue
        if word == "check":
            actions.append([_Term("name", ("add",)), *named, *clause])
        elif word == "references":
            key = [_Term("name", (name,)) for name in ("add", "foreign", "key")]
            opened, closed = _Term("symbol", ("(",)), _Term("symbol", (")",))
            actions.append([*key[:1], *named, *key[1:], opened, *column, closed, *clause])
        else:
            computed = clause[2:] if _words(clause[:2]) == ["generated", "always"] else clause
            rest.append([*named, *computed])
        named = []
    rest.sort(key=_words)
    return [[*kept, *(term for clause in rest for term in clause)], *actions]


def _clauses(terms: _Terms) -> Iterator[_Terms]:
    """The type of a new column, then each clause after it."""
    clause: _Terms = []
    depth = 0
    for term in terms:
        word = term.word
        begins = not depth and word in _CLAUSES and not _goes_on(clause, word)
        depth += (word in ("(", "[")) - (word in (")", "]"))
        if begins:
            yield clause
            clause = []
        clause.append(term)
    yield clause


def _goes_on(clause: _Terms, word: str) -> bool:
    """Whether a word that begins clauses is part of the one before it."""
    before = _words(clause)
    if not before:
        return False
    last = before[-1]
    return (
        (last == "not" and word == "null")
        or (last == "default" or (last == "set" and len(before) > 1))
        or (last == "always" and word == "as")
        or (before[0] == "references" and word == "on")
    )
