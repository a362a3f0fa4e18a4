"""A printed schema as the text of a baseline: without what stays with others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from .._printing.objects import ObjectName, Printing
from .._printing.text import body

#: Functions may name what is made after them.
_PREAMBLE = {"PostgreSQL": "SET check_function_bodies = off;\n\n"}


def baseline_text(printing: Printing, ignore: Sequence[str]) -> str:
    """The statements that make a schema again.

    Args:
        printing: The schema.
        ignore: Patterns of objects that are left out, such as `table public.audit_*`; what belongs to
            them is left out, too.
    """
    kept = {
        name: made
        for name, made in printing.objects.items()
        if not _ignored(printing, name, ignore)
    }
    wanted = Printing(
        printing.server,
        tuple(each for each in printing.statements if each[0] in kept),
        kept,
    )
    return _PREAMBLE.get(printing.server.partition(" ")[0], "") + body(wanted)


def _ignored(printing: Printing, name: ObjectName, ignore: Iterable[str]) -> bool:
    """Whether a pattern fits an object, or one that it belongs to."""
    patterns = tuple(ignore)
    above: ObjectName | None = name
    while above is not None:
        if any(fnmatchcase(str(above), pattern) for pattern in patterns):
            return True
        made = printing.objects.get(above)
        above = made.parent if made is not None else None
    return False
