"""Reads a statement's text into a command, for both servers' words.

Begins with a table from the first word to the function that reads on. A statement whose first word
or whose form is not known becomes `Unknown`: it is counted and named, never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from .._sql.lexer import BLANKS, tokens
from .._sql.server_kind import ServerKind
from .._sql.tokens import upper, word_set
from .commands import (
    Command,
    Understood,
    Unknown,
)
from .cursor import NotUnderstoodError, first_words
from .read_alter import read_alter, read_drop
from .read_create import read_create
from .read_data import read_import, read_insert, read_truncate, read_update
from .read_rest import read_code, read_query, read_rebuild, read_refresh, read_reindex, read_set

_FIRST: Final = re.compile(rf"[({BLANKS}]*+([A-Za-z_]++)")
_NOTHING_MODELLED: Final = word_set(
    "ANALYZE BACKUP CANCEL CHECKPOINT CLOSE COMMENT COPY DEALLOCATE DECLARE DISCARD EXPLAIN "
    "EXPORT FETCH GRANT INSPECT LISTEN LOAD LOCK MOVE NOTIFY PAUSE PREPARE REASSIGN RESET "
    "RESTORE RESUME REVOKE SECURITY SHOW TABLE UNLISTEN USE VALUES"
)


def read(text: str, server: ServerKind) -> Command:
    """Read one statement.

    Args:
        text: Without the closing `;`.
        server: Whose words it is written in, where they differ (INT, SERIAL).
    """
    match = _FIRST.match(text)
    if match is None:
        first = next(tokens(text), None)
        if first is None:
            return Understood("")
        word, start = upper(first), first.start
    else:
        word, start = match[1].upper(), match.start(1)
    read_on = _BY_FIRST_WORD.get(word)
    if read_on is not None:
        try:
            return read_on(text if start == 0 else text[start:], server)
        except (NotUnderstoodError, IndexError):
            return Unknown(first_words(text))
    if word in _NOTHING_MODELLED:
        return Understood(word)
    return Unknown(first_words(text))


_BY_FIRST_WORD: Final[dict[str, Callable[[str, ServerKind], Command]]] = {
    "ALTER": read_alter,
    "CALL": read_code,
    "CLUSTER": read_rebuild,
    "CREATE": read_create,
    "DELETE": read_update,
    "DO": read_code,
    "DROP": read_drop,
    "EXECUTE": read_code,
    "IMPORT": read_import,
    "INSERT": read_insert,
    "MERGE": read_update,
    "REFRESH": read_refresh,
    "REINDEX": read_reindex,
    "SELECT": read_query,
    "SET": read_set,
    "TRUNCATE": read_truncate,
    "UPDATE": read_update,
    "UPSERT": read_insert,
    "VACUUM": read_rebuild,
    "WITH": read_query,
}
