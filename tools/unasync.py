"""Write the sync twin of every async module.

`async_<name>.py` becomes `<name>.py` beside it, and each module of a folder `_async` becomes one of the
same name in the folder `_sync` beside that.

Async is the source, written once by hand; the twin is generated, checked in, and compared byte for
byte by `--check`. The translation goes by tokens and by names, never by meaning: what cannot be
derived so lives in the package's `concurrency` module as pairs of functions, `async_<name>` and `<name>`.
A rename rule that no module needs is an error: rules are removed when their reason is.

Usage: python tools/unasync.py [--check] [--package FOLDER]
"""

from __future__ import annotations

import argparse
import ast
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "manticore_cockroachdb"
PAIRS = "concurrency.py"
PREFIX = "async_"
SOURCES = "_async"
TWINS = "_sync"
LINE_LENGTH = 100

# Names that do not follow from a rule. Two rules need no table: `Async…` loses its prefix, and so
# does `async_…` where it names a module of the package or a function defined in one.
NAMES: Mapping[str, str] = {
    "AsyncMigrator": "Migration",
    SOURCES: TWINS,
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
}
# Types of what is awaited: the twin has the result itself.
AWAITED = ("Awaitable", "Coroutine")

_HEADER = (
    "# Generated from {source} by tools/unasync.py: edit that file, then run `make generate`.\n"
    "# fmt: off\n"
    "# ruff: noqa: I001, RUF100\n"
)
_HEADER_START = "# Generated from "
_LAYOUT = {
    tokenize.NEWLINE,
    tokenize.NL,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass(slots=True)
class Token:
    """A piece of source and the spaces before it; an emptied text removes it."""

    kind: int
    text: str
    before: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What to rename, and which of the tables' rules have been needed so far.

    Attributes:
        names: Identifiers and their twins.
        own: The package's own names that begin with `async_`.
    """

    names: Mapping[str, str]
    own: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)

    def name(self, name: str) -> str:
        """The twin of one identifier."""
        if name in self.names:
            self.used.add(name)
            return self.names[name]
        if name in self.own:
            return name.removeprefix(PREFIX)
        return re.sub(r"^(_*)Async(?=[A-Z])", r"\1", name)

    def text(self, text: str) -> str:
        """The twin of a string or comment."""
        return re.sub(r"\b[A-Za-z_]\w*", lambda word: self.name(word[0]), text)

    def unused(self) -> list[str]:
        """The rules that were never needed, as they are written."""
        return [rule for rule in self.names if rule not in self.used]


def translate(source: str, rules: Rules) -> str:
    """Translate the text of an async module into that of its sync twin, without its header."""
    tokens, tail = _tokens(source)
    _drop_parentheses_around_await(tokens)
    _drop_async_and_await(tokens)
    _drop_awaited_types(tokens)
    for token in tokens:
        if token.kind == tokenize.NAME:
            token.text = rules.name(token.text)
        elif token.kind in (tokenize.STRING, tokenize.COMMENT):
            token.text = rules.text(token.text)
    _tidy_imports(tokens)
    return "".join(token.before + token.text for token in tokens) + tail


def _tokens(source: str) -> tuple[list[Token], str]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tokens: list[Token] = []
    end = 0
    for kind, first, last in _whole_strings(tokenize.generate_tokens(io.StringIO(source).readline)):
        start, stop = (starts[row - 1] + column for row, column in (first, last))
        tokens.append(Token(kind, source[start:stop], source[end:start]))
        end = stop
    return tokens, source[end:]


def _whole_strings(
    tokens: Iterator[tokenize.TokenInfo],
) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Tokens with each f-string as one string, as Python 3.11 has them: all versions agree."""
    depth = 0
    first = (0, 0)
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if name in ("FSTRING_START", "TSTRING_START"):
            first = first if depth else token.start
            depth += 1
        elif name in ("FSTRING_END", "TSTRING_END"):
            depth -= 1
            if not depth:
                yield tokenize.STRING, first, token.end
        elif not depth and token.type not in _LAYOUT:
            yield token.type, token.start, token.end


@dataclass(frozen=True, slots=True)
class _Import:
    """Where a `from … import` statement stands: its first token, its first name, its end."""

    start: int
    names: int
    stop: int


def _imports(tokens: list[Token]) -> Iterator[_Import]:
    for start, token in enumerate(tokens):
        if token.text != "from" or not _begins_line(tokens, start):
            continue
        names = next(i for i in range(start, len(tokens)) if tokens[i].text == "import") + 1
        if tokens[names].text == "(":
            stop = _closing(tokens, names) + 1
        else:
            stop = names + 1
            while stop < len(tokens) and not _begins_line(tokens, stop):
                stop += 1
        yield _Import(start, names, stop)


def _begins_line(tokens: list[Token], index: int) -> bool:
    return index == 0 or "\n" in tokens[index].before


def _closing(tokens: list[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind == tokenize.OP:
            depth += (tokens[index].text in "([{") - (tokens[index].text in ")]}")
            if not depth:
                return index
    raise AssertionError("the tokenizer lets no bracket stay open")


def _drop_parentheses_around_await(tokens: list[Token]) -> None:
    """`(await x.f(y)).z` becomes `x.f(y).z`, as one would have written it."""
    for index in range(len(tokens) - 1):
        if tokens[index].text != "(" or tokens[index + 1].text != "await":
            continue
        before = tokens[index - 1] if index else None
        is_call = before is not None and (
            before.text in (")", "]")
            or (before.kind == tokenize.NAME and not keyword.iskeyword(before.text))
        )
        end = _closing(tokens, index)
        if not is_call and _is_primary(tokens, index + 2, end):
            tokens[index + 1].before = tokens[index].before
            tokens[index].text = tokens[index].before = ""
            tokens[end].text = tokens[end].before = ""


def _is_primary(tokens: list[Token], start: int, stop: int) -> bool:
    """Whether the tokens are one name with its attributes, calls and subscripts, on one line."""
    index = start
    while index < stop:
        token = tokens[index]
        if "\n" in token.before or "\n" in tokens[stop].before:
            return False
        if token.text in ("(", "["):
            index = _closing(tokens, index)
        elif token.text != "." and (token.kind != tokenize.NAME or keyword.iskeyword(token.text)):
            return False
        index += 1
    return True


def _drop_async_and_await(tokens: list[Token]) -> None:
    for index, token in enumerate(tokens):
        if token.kind == tokenize.NAME and token.text in ("async", "await"):
            tokens[index + 1].before = token.before
            token.text = token.before = ""


def _drop_awaited_types(tokens: list[Token]) -> None:
    """`Awaitable[T]` and `Coroutine[Any, Any, T]` become `T`."""
    for index in range(len(tokens) - 1):
        if tokens[index].text not in AWAITED or tokens[index + 1].text != "[":
            continue
        end = _closing(tokens, index + 1)
        last = index + 1
        if tokens[index].text == "Coroutine":
            depth = 0
            for inner in range(index + 2, end):
                depth += (tokens[inner].text in "([{") - (tokens[inner].text in ")]}")
                if tokens[inner].text == "," and not depth:
                    last = inner
        tokens[last + 1].before = tokens[index].before
        for dropped in (*range(index, last + 1), end):
            tokens[dropped].text = tokens[dropped].before = ""


def _tidy_imports(tokens: list[Token]) -> None:
    """Take out of each import what the twin does not use, and what it now names twice."""
    for statement in list(_imports(tokens)):
        group = tokens[statement.names : statement.stop]
        names = " ".join(token.text for token in group if token.kind != tokenize.COMMENT)
        wanted = [name.strip() for name in names.strip("() ").split(",") if name.strip()]
        kept = [name for name in dict.fromkeys(wanted) if name not in AWAITED]
        if kept == wanted:
            continue
        head = "".join(t.before + t.text for t in tokens[statement.start : statement.names])
        line = f"{head} {', '.join(kept)}"
        if len(line.rpartition("\n")[2]) > LINE_LENGTH:
            indent = tokens[statement.start].before.rpartition("\n")[2]
            lines = "".join(f"{indent}    {name},\n" for name in kept)
            line = f"{head} (\n{lines}{indent})"
        for token in tokens[statement.start : statement.stop]:
            token.text = token.before = ""
        tokens[statement.start].text = line if kept else ""


def own_names(modules: Iterable[Path]) -> frozenset[str]:
    """The names beginning with `async_` of the modules themselves and of what they define."""
    found: set[str] = set()
    for module in modules:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef)
        found.update(node.name for node in ast.walk(tree) if isinstance(node, definitions))
        found.add(module.stem)
    return frozenset(name for name in found if name.startswith(PREFIX))


def _sources(package: Path) -> list[Path]:
    """Every module that is written by hand and has a twin; a package's own docstring has none."""
    found = [
        path
        for path in package.rglob("*.py")
        if path.name.startswith(PREFIX)
        or (path.parent.name == SOURCES and path.name != "__init__.py")
    ]
    return sorted(found)


def _source_name(source: Path) -> str:
    """How a twin names its source: as seen from the folder that holds both."""
    return f"{SOURCES}/{source.name}" if source.parent.name == SOURCES else source.name


def _twin(source: Path) -> Path:
    if source.parent.name == SOURCES:
        return source.parent.with_name(TWINS) / source.name
    return source.with_name(source.name.removeprefix(PREFIX))


def generate(package: Path) -> tuple[dict[Path, str], list[str]]:
    """Translate every async module of a package.

    Returns:
        The text of each twin by its path, and the rules that none of them needed.
    """
    sources = _sources(package)
    rules = Rules(NAMES, own_names([*sources, *package.rglob(PAIRS)]))
    twins = {
        _twin(source): _HEADER.format(source=_source_name(source))
        + translate(source.read_text(encoding="utf-8"), rules)
        for source in sources
    }
    return twins, rules.unused()


def _shown(package: Path, path: Path) -> str:
    return path.relative_to(package).as_posix()


def problems(package: Path, twins: Mapping[Path, str]) -> list[str]:
    """What is not as `generate` says: every twin that is stale, missing, orphaned or foreign."""
    found = []
    for path, text in twins.items():
        if not path.exists():
            found.append(f"{_shown(package, path)} is missing: run `make generate`.")
        elif not _is_generated(path):
            found.append(
                f"{_shown(package, path)} was written by hand, and an async module has the same twin: "
                "move it away or rename one of them."
            )
        elif path.read_bytes() != text.encode():
            found.append(f"{_shown(package, path)} is stale: run `make generate`.")
    found += [
        f"{_shown(package, path)} is generated, but its source is gone: run `make generate`."
        for path in _orphans(package, twins)
    ]
    return found


def write(package: Path, twins: Mapping[Path, str]) -> list[str]:
    """Bring every twin up to date, remove orphans, and say what was done."""
    done = []
    for path, text in twins.items():
        if not path.exists() or path.read_bytes() != text.encode():
            path.write_bytes(text.encode())
            done.append(f"wrote {_shown(package, path)}")
    for path in _orphans(package, twins):
        path.unlink()
        done.append(f"removed {_shown(package, path)}")
    return done


def _orphans(package: Path, twins: Mapping[Path, str]) -> list[Path]:
    return [p for p in sorted(package.rglob("*.py")) if p not in twins and _is_generated(p)]


def _is_generated(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith(_HEADER_START)


def main(arguments: list[str] | None = None) -> int:
    """Generate or check; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the sync twins of the async modules.")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if not up to date")
    parser.add_argument("--package", type=Path, default=PACKAGE, help="the package's folder")
    options = parser.parse_args(arguments)
    twins, unused = generate(options.package)
    found = [f"The rename rule {rule} is unused: remove it." for rule in unused]
    if options.check:
        found += problems(options.package, twins)
    else:
        foreign = [p for p in twins if p.exists() and not _is_generated(p)]
        if foreign:
            found += problems(options.package, {path: twins[path] for path in foreign})
        else:
            print(*write(options.package, twins), sep="\n", end="\n" if twins else "")
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
