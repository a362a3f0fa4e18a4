"""How many scripts are sent without waiting for answers. Decides; sends nothing.

Many at once make round trips vanish; few at once let a person see script by script how slow ones get on,
and let a failure be known early. So it begins with one, grows fourfold while answers come quickly, and
falls back when they do not.
"""

from __future__ import annotations

from .._sql.lexer import TokenKind, tokens
from .._sql.statement import Kind
from .._sql.tokens import head
from .segments import Prepared

#: Seconds of work that may go by between two signs of progress.
QUICK = 0.5
#: Scripts, and bytes of SQL, in flight at most.
MOST_SCRIPTS = 128
MOST_BYTES = 4 * 1024 * 1024


#: Characters of SQL that a script may have and still count as brief.
BRIEF = 16 * 1024


def is_brief(prepared: Prepared) -> bool:
    """Whether a script only inserts rows that are written in it, and not many.

    The server is done with such a script at once, so it may share a transaction with others like it.
    """
    return sum(len(each.text) for each in prepared.statements) <= BRIEF and all(
        each.kind is Kind.DATA
        and head(each.text, 1) == ("INSERT",)
        and not any(
            token.kind is TokenKind.WORD and token.text.upper() == "SELECT"
            for token in tokens(each.text)
        )
        for each in prepared.statements
    )


class Pace:
    """The number of scripts to send together next.

    Attributes:
        scripts: How many; always at least one.
    """

    def __init__(self) -> None:
        self.scripts = 1

    def took(self, scripts: int, seconds: float) -> None:
        """Learn from the last batch.

        Args:
            scripts: How many scripts it had.
            seconds: How long it took, round trip included.
        """
        if seconds <= QUICK:
            self.scripts = min(MOST_SCRIPTS, self.scripts * 4)
        else:
            self.scripts = max(1, int(scripts * QUICK / seconds))
