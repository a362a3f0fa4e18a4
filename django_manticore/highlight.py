"""A script's text as HTML: keywords, strings, numbers and comments get CSS classes. Pure.

The library's own lexer finds the tokens, so what is shown as a string is what the server takes for one.
"""

from __future__ import annotations

from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from manticore_cockroachdb.sql import Token, TokenKind, tokens

_WORDS: Final = """
    ADD ALL ALTER AND AS ASC BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLUMN COMMENT COMMIT CONCURRENTLY
    CONFLICT CONSTRAINT CREATE CROSS CURRENT_TIMESTAMP DATABASE DEFAULT DELETE DESC DISTINCT DO DROP ELSE
    END ENUM EXECUTE EXISTS FALSE FAMILY FOR FOREIGN FROM FULL FUNCTION GRANT GROUP HAVING IF ILIKE IN
    INDEX INNER INSERT INTERVAL INTO INVERTED IS JOIN KEY LANGUAGE LEFT LIKE LIMIT MATERIALIZED NOT
    NOTHING NULL OFFSET ON OR ORDER OUTER PRIMARY PROCEDURE REFERENCES RENAME REPLACE RESET RESTRICT
    RETURNING RETURNS REVOKE RIGHT ROLE SCHEMA SELECT SEQUENCE SET STORED STORING TABLE THEN TO TRIGGER
    TRUE TRUNCATE TYPE UNION UNIQUE UPDATE UPSERT USING VALUES VIEW WHEN WHERE WITH
"""

#: Words shown as keywords; a script that uses one as a name loses nothing by it.
KEYWORDS: Final = frozenset(_WORDS.split())


def highlighted(sql: str) -> SafeString:
    """`sql` as HTML, every character of it kept and escaped."""
    pieces: list[tuple[str, str]] = []
    end = 0
    for token in tokens(sql):
        pieces.append((_between(sql[end : token.start]), sql[end : token.start]))
        pieces.append((_kind(token), token.text))
        end = token.end
    pieces.append((_between(sql[end:]), sql[end:]))
    return format_html_join("", "{}", ((_span(*piece),) for piece in pieces if piece[1]))


def _between(text: str) -> str:
    """Only spaces and comments are found between two tokens."""
    return "comment" if text.strip() else ""


def _kind(token: Token) -> str:
    match token.kind:
        case TokenKind.STRING:
            return "string"
        case TokenKind.WORD if token.text.upper() in KEYWORDS:
            return "keyword"
        case TokenKind.SYMBOL if token.text[0].isdigit():
            return "number"
        case _:
            return ""


def _span(kind: str, text: str) -> str | SafeString:
    return format_html('<span class="sql-{}">{}</span>', kind, text) if kind else text
