"""Small pieces of sentences: a number with its noun, and the beginning of a sentence."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """`1 script`, `2 scripts`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def capitalized(words: str) -> str:
    """The same words at the beginning of a sentence."""
    return words[:1].upper() + words[1:]
