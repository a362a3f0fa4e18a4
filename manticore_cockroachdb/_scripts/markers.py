"""Comments that read like the start of a down section, although they are not the line that starts one.

Most migration tools part a file by a comment. A file written for another tool, or by a colleague's
habit, would run its down section as part of the up section here: tables are made and dropped at once.
So a comment that could be such a marker is refused; a sentence that happens to contain the word is not.
"""

from __future__ import annotations

import re
from typing import Final

#: Words that name a down section. One of them is in every marker.
_DOWN_WORDS: Final = frozenset(
    ("down", "downs", "downgrade", "undo", "rollback", "revert", "backward", "backwards", "reverse")
)
#: Other words of known markers: names of tools, options after the marker, and words for a section.
#: goose and sql-migrate: `+goose Down`, `+migrate Down notransaction`; dbmate: `migrate:down
#: transaction:false`; rambler: `rambler down`; node-pg-migrate: `Down Migration`; MyBatis: `//@UNDO`;
#: Play: `!Downs`.
_OTHER_WORDS: Final = frozenset(
    (
        *(
            "goose",
            "migrate",
            "migration",
            "migrations",
            "rambler",
            "manticore",
            "flyway",
            "dbmate",
        ),
        *("transaction", "notransaction", "no", "false", "true", "noop"),
        *("section", "part", "script", "sql", "statement", "statements", "code", "block"),
        *("begin", "start", "starts", "here", "below", "end"),
    )
)
_WORD: Final = re.compile(r"[^\W\d_]+")
#: tern writes both halves into one line: `---- create above / drop below ----`.
_TERN: Final = re.compile(r"create\s+above\W+drop\s+below", re.IGNORECASE)
#: `+micrate Down`: a plus and the tool's name, whatever it is.
_PLUS: Final = re.compile(r"--+[ \t]*\+\w+[ \t]+down\b", re.IGNORECASE)
#: What a person puts in front to say that it is only a comment.
_QUOTED: Final = re.compile(r"(?:--+|/\*+)[ \t]*['\"`]")

#: A quick look at a comment, before its words are read.
MAYBE_MARKER: Final = rf"(?:--|/\*)[^\n]*(?:{'|'.join(sorted(_DOWN_WORDS))}|drop\s+below)"


def reads_like_down(comment: str) -> bool:
    """Whether a comment could be another tool's, or a person's, start of a down section.

    Args:
        comment: The comment with its `--` or `/*`.
    """
    if _QUOTED.match(comment):
        return False
    if _TERN.search(comment) or _PLUS.match(comment):
        return True
    words = [word.lower() for word in _WORD.findall(comment)]
    return not _DOWN_WORDS.isdisjoint(words) and all(
        word in _DOWN_WORDS or word in _OTHER_WORDS for word in words
    )
