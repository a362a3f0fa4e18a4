"""Collects the texts of every error from the code: what a reader pastes into a search box.

An error's text is the message that is given to an error class, to `Problem` or to `CommandError`, or
a string that a module of messages returns. What is filled in at run time reads `…`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from manticore_cockroachdb import errors

ROOT = Path(__file__).resolve().parents[2]
_CLASSES = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and value.__module__ == errors.__name__
} | {"BadBatch", "CommandError", "LexError", "NoKey", "NotWindowed"}

#: Modules whose functions return messages.
_MESSAGES = ("messages.py", "table_messages.py", "lease.py", "refused.py", "rules.py")
_PACKAGES = ("manticore_cockroachdb", "django_manticore")


def collect() -> dict[str, str]:
    """Every text, with the place it comes from."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if source.startswith("# Generated"):
                continue
            tree = ast.parse(source)
            returned = path.name in _MESSAGES and path.parent.name != "management"
            found_here = [*_texts(tree), *(_returned(tree) if returned else ())]
            for line, text in found_here:
                if len(re.findall(r"[A-Za-z]{2,}", text)) >= 3:
                    found.setdefault(text, f"{path.relative_to(ROOT)}:{line}")
    return found


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in _CLASSES and node.args:
            yield from ((part.lineno, text) for part, text in _templates(node.args[0]))


def _returned(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Return | ast.Assign) and node.value is not None:
            for part, text in _templates(node.value):
                if text.endswith("."):
                    yield part.lineno, text


def _templates(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.IfExp):
        yield from _templates(node.body)
        yield from _templates(node.orelse)
        return
    text = _template(node)
    if text.strip("… "):
        yield node, " ".join(text.split())


def _template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "…"
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _template(node.left) + _template(node.right)
    return "…"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
