"""SQL text as the lexer of this package reads it, for tools that show scripts.

from manticore_cockroachdb.sql import tokens

print([token.text for token in tokens("SELECT 'a;b' -- why")])
"""

from __future__ import annotations

from ._sql.lexer import Token, TokenKind, tokens
from ._sql.statement import summary

__all__ = ["Token", "TokenKind", "summary", "tokens"]
