"""Finds words and phrases that the project's prose does not use, each with what to write instead.

Five kinds of text are read: the pages; the strings of the code (messages, help texts, hints); docstrings
and comments, those of the tests and tools included; and the names of tests, which are sentences. The list
holds words that a reader stumbles over: archaic ones, metaphors where the field has a term, a second name
for something that has one, British spelling.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: The packages whose strings users see.
PACKAGES = ("manticore_cockroachdb", "django_manticore", "example_project")

#: What only their developers read.
WORKSHOP = ("tests", "tools", "benchmarks", "docs")

#: What is not written, as a pattern, and what is written instead.
BANNED = {
    # Archaic, or heavier than what they say.
    r"told": "reported, or who says what",
    r"anew": "again",
    r"wholly": "fully",
    r"lest": "so that … not",
    r"for ever": "forever, or say when it ends",
    r"(?:waits?|lasts?) not": "does not …",
    r"beforehand": "first",
    r"the other way round": "in reverse order",
    r"a matter of course": "always so",
    r"easy life": "say why it is easy",
    r"easily|simply|obviously": "leave it out",
    r"in vain": "without success",
    r"(?:nothing|what) speaks (?:against|for)|speaks? against": "the reason …",
    r"just now": "now, or leave it out",
    r"(?:on )?the way back": "on its way to …",
    r"mild(?:er|est) severity": "lower, lowest severity",
    r"(?:and )?(?:its|their) kin": "and similar …",
    r"but for(?! the first time)": "except",
    r"hastens?": "speeds up",
    r"so-manieth": "every nth",
    r"(?:its|their|his) own affair|nobody's business": "say who decides it",
    r"under our feet|of yesterday": "say what changes",
    r"bears? (?:it|them) out|bears? being": "confirms; can be",
    # Where the field has a word.
    r"mend(?:s|ed|ing)?": "fix",
    r"(?<!manual )repair(?:s|ed|ing)?": "fix",
    r"blanks?(?! lines?\b)": "spaces",
    r"(?:go|goes|went|gone|going) on(?! (?:to|the|a)\b)": "continue",
    r"(?:stands?|stood|standing) still": "is paused",
    r"(?:become|becomes|became) of": "happened to",
    r"(?:give|gives|gave|given|giving) (?:\w+ ){0,3}back": "release, or return",
    r"stands? (?:in|beside|behind|before|between|at|on|after)": "is in, comes before",
    r"runs? out": "expires",
    r"ran out": "expired",
    r"behind (?:it|them|this|that place|the (?:place|statement))": "after",
    r"(?:take|takes|took|taken|taking) (?:it |them |that |this )?back": "revert, or roll back",
    r"(?<!-)(?<!option )(?<!@)undo(?:es|ne|ing)?(?! (?:file|record)s?)": "revert",
    r"unapply|unapplied": "revert",
    r"makes? no sense": "is invalid: …",
    r"(?<!there )(?:is|was) no(?! (?:longer|more|less|other|one)\b) \w+": "is not a …, or must be …",
    r"(?:fits?|fit) (?:no rule|together)": "say which rule",
    r"there is no such moment": "must be …",
    # A second name for what has one.
    r"half[- ](?:done|applied|reverted|way)": "partially applied",
    r"(?<!each )run records?": "run state",
    r"right to run": "lease",
    r"way out by hand": "manual resolution",
    r"(?:down|up) parts?": "down section, up section",
    # American spelling.
    r"(?:flavour|colour|licence|behaviour|neighbour|honour|favour|labour)\w*": "American spelling",
    r"\w+(?:ogni|ormali|rgani|nitiali|eriali|ynchroni|ptimi|inimi|ummari|uthori)s(?:e|es|ed|ing|ation)": (
        "American spelling"
    ),
}
_BANNED = re.compile(
    "|".join(rf"(?P<w{n}>\b(?:{word})\b)" for n, word in enumerate(BANNED)), re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of prose: where it stands, and what it says."""

    place: str
    text: str


def complaints(texts: Iterator[Text]) -> list[str]:
    """What a person should reword, one line each."""
    found = []
    for text in texts:
        for match in _BANNED.finditer(" ".join(text.text.split())):
            instead = list(BANNED.values())[int((match.lastgroup or "w0")[1:])]
            found.append(f"{text.place}: {match[0]!r} (write: {instead})")
    return found


def pages() -> Iterator[Text]:
    """The lines of every page, without blocks and words of code."""
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]:
        if path.name == "migrations.md":  # carried as its authors wrote it
            continue
        fenced = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced and not line.startswith(":::"):
                bare = re.sub(r"`[^`]*`|\]\([^)]*\)", " … ", line)
                yield Text(f"{path.relative_to(ROOT)}:{number}", bare)


def strings() -> Iterator[Text]:
    """The strings of the packages that are prose: several words; docstrings are not among them."""
    for path, _, tree in _modules(PACKAGES):
        documented = {id(node) for node, _ in _docstrings(tree)}
        inside = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in ast.walk(node)
            if part is not node
        }
        for node in ast.walk(tree):
            if id(node) in documented or id(node) in inside:
                continue
            text = _CODE.sub(" … ", _literal(node))
            if text.count(" ") >= 2:
                yield Text(_place(path, getattr(node, "lineno", 0)), text)


def docstrings() -> Iterator[Text]:
    """The docstrings of packages, tests and tools."""
    for path, _, tree in _modules(PACKAGES + WORKSHOP):
        for node, text in _docstrings(tree):
            bare = _ARGUMENT.sub("…", _CODE.sub(" … ", text))
            yield Text(_place(path, node.lineno), bare)


def comments() -> Iterator[Text]:
    """The comments of packages, tests and tools; neighboring lines are one text."""
    for path, source, _ in _modules(PACKAGES + WORKSHOP):
        block: list[str] = []
        first = last = 0
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type != tokenize.COMMENT:
                continue
            line = token.start[0]
            if line != last + 1 and block:
                yield Text(_place(path, first), _CODE.sub(" … ", " ".join(block)))
                block = []
            first = line if not block else first
            block.append(token.string.lstrip("#: "))
            last = line
        yield Text(_place(path, first), _CODE.sub(" … ", " ".join(block)))


def test_names() -> Iterator[Text]:
    """The names of tests, as the sentences that they are."""
    for path, _, tree in _modules(("tests",)):
        for node in ast.walk(tree):
            name = getattr(node, "name", None) or ""
            if name.startswith("test_"):
                yield Text(_place(path, getattr(node, "lineno", 0)), name.replace("_", " "))


_CODE = re.compile(r"`[^`]*`")

#: The name of an argument or attribute at the beginning of its line.
_ARGUMENT = re.compile(r"^ *\*{0,2}\w+(?=: )", re.MULTILINE)


def _place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _modules(folders: tuple[str, ...]) -> Iterator[tuple[Path, str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if not text.startswith("# Generated"):  # a generated twin says what its source says
                yield path, text, ast.parse(text)


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.Constant, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(value := first.value, ast.Constant):
                yield value, str(value.value)


def _literal(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "…"
            for part in node.values
        )
    return ""
