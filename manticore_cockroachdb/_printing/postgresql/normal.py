"""Where PostgreSQL prints an expression in two ways: the one it prints after reading its own. Pure.

An expression that a person wrote and the same expression read from PostgreSQL's printing of it can be
stored, and so printed, differently. Two databases, one made by scripts and one by a printing, would then
look different though they are not. Two such cases are known, and both are brought to one form here:

- `x IN ('a', 'b')` over VARCHAR is stored as a cast array; read back, the cast is pushed into the elements
  (`transformArrayExpr` in src/backend/parser/parse_expr.c).
- a constant without a name in a later arm of a UNION is stored without one; read back, it is named after
  its type (`FigureColname` in src/backend/parser/parse_target.c).
"""

from __future__ import annotations

import re

_CAST_ARRAY = "(ARRAY["
#: A type's name after `::`, up to the brackets of the array.
_ARRAY_TYPE = re.compile(r'\)::((?:"(?:[^"]|"")*"|[\w. ])+)\[\]')
_DOLLAR = re.compile(r"\$(?:[A-Za-z_]\w*)?\$")

#: The parser's names for types that are printed by another one.
_INTERNAL = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "character varying": "varchar",
    "character": "bpchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "bit varying": "varbit",
}
_NAMED_CONSTANT = re.compile(
    r"^(\s*(?:SELECT (?:DISTINCT )?)?(?:NULL|'(?:[^']|'')*'|\(?'?-?[\d.]+'?\)?)::([a-z][a-z ]*[a-z]))"
    r'(?:\([\d, ]+\))? AS "?(\w+)"?(?=[,)]|$)',
    re.MULTILINE,
)


def normal(text: str) -> str:
    """One form for what PostgreSQL prints in two."""
    if _CAST_ARRAY not in text:
        return text
    at = 0
    while at < len(text):
        if text.startswith(_CAST_ARRAY, at):
            text = _pushed_down(text, at)
        at = _past_quoted(text, at)
    return text


def normal_query(text: str) -> str:
    """One form for a view's query: `normal`, and no names that are those of a constant's type."""

    def unnamed(match: re.Match[str]) -> str:
        constant, kind, name = match[1], match[2], match[3]
        is_own = name == _INTERNAL.get(kind, kind)
        return constant if is_own and match[0].startswith(constant + " AS ") else match[0]

    return _NAMED_CONSTANT.sub(unnamed, normal(text))


def _past_quoted(text: str, at: int) -> int:
    """The position after the string that begins here, or after one character."""
    character = text[at]
    if character in "'\"":
        escapes = character == "'" and at > 0 and text[at - 1] in "eE"
        at += 1
        while at < len(text):
            if escapes and text[at] == "\\":
                at += 2
            elif text[at] == character:
                if text[at + 1 : at + 2] != character:
                    return at + 1
                at += 2
            else:
                at += 1
        return at
    if character == "$" and (tag := _DOLLAR.match(text, at)):
        end = text.find(tag[0], tag.end())
        return len(text) if end < 0 else end + len(tag[0])
    return at + 1


def _pushed_down(text: str, start: int) -> str:
    """`(ARRAY[a, b])::t[]` at `start` as `ARRAY[(a)::t, (b)::t]`; else the text as it is."""
    at = start + len(_CAST_ARRAY)
    items, item_start, depth = [], at, 0
    while at < len(text):
        character = text[at]
        if character in "([":
            depth += 1
        elif character in ")]":
            if not depth:
                break
            depth -= 1
        elif character == "," and not depth:
            items.append(text[item_start:at].strip())
            item_start = at + 1
        at = _past_quoted(text, at)
    items.append(text[item_start:at].strip())
    cast = _ARRAY_TYPE.match(text, at + 1)
    if cast is None or text[at : at + 1] != "]":
        return text
    pushed = ", ".join(f"({item})::{cast[1]}" for item in items if item)
    return f"{text[:start]}ARRAY[{pushed}]{text[cast.end() :]}" if pushed else text
