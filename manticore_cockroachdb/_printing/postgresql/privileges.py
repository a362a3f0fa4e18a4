"""GRANT and REVOKE statements from what access control lists say. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..names import Row

#: What stands for an object's owner where it is the user that the printing is made as.
_OURSELVES = "CURRENT_USER"
_TYPES = {
    "r": "TABLES",
    "S": "SEQUENCES",
    "f": "FUNCTIONS",
    "T": "TYPES",
    "n": "SCHEMAS",
    "L": "LARGE OBJECTS",
}


def grants(rows: Iterable[Row], target: str, owner: str, columns: str = "") -> list[str]:
    """The statements that lead from the list an object begins with to the one it has.

    Args:
        rows: The differences: grantee, privilege, and how it was `before` and is `now` (0: not held,
            1: held, 2: held with grant option).
        target: What GRANT names, such as `ON TABLE public.users`.
        owner: How to write the owner, who is the empty grantee of a row.
        columns: The columns they are for, in parentheses; empty for a whole object.
    """
    sets: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        grantee = row["grantee"] or owner
        for verb, tail in _steps(row["before"], row["now"]):
            sets.setdefault((verb, grantee, tail), []).append(row["privilege"])
    found = []
    for (verb, grantee, tail), privileges in sorted(sets.items(), key=_revokes_first):
        names = ", ".join(f"{name}{columns}" for name in sorted(set(privileges)))
        preposition = "TO" if verb == "GRANT" else "FROM"
        found.append(f"{verb} {names} {target} {preposition} {grantee}{tail}")
    return found


def _steps(before: int, now: int) -> list[tuple[str, str]]:
    if now == 0:
        return [("REVOKE", "")]
    if before == 2 and now == 1:
        return [("REVOKE GRANT OPTION FOR", "")]
    return [("GRANT", " WITH GRANT OPTION" if now == 2 else "")]


def _revokes_first(item: tuple[tuple[str, str, str], list[str]]) -> tuple[bool, str, str, str]:
    verb, grantee, tail = item[0]
    return (verb == "GRANT", grantee, verb, tail)


def owner_words(owner: str, ourselves: str, quoted: str) -> str:
    """How a statement names an object's owner."""
    return _OURSELVES if owner == ourselves else quoted


def default_privileges(rows: Iterable[Row], ourselves: str) -> dict[str, list[str]]:
    """ALTER DEFAULT PRIVILEGES statements, by what they are for."""
    groups: dict[str, list[Row]] = {}
    heads: dict[str, tuple[str, str, str]] = {}
    for row in rows:
        role = "" if row["role"] == ourselves else f" FOR ROLE {row['quoted_role']}"
        schema = f" IN SCHEMA {row['schema']}" if row["schema"] else ""
        name = _TYPES[row["type"]].lower()
        name += role.replace("FOR ROLE", "for role", 1) + schema.replace(
            "IN SCHEMA", "in schema", 1
        )
        heads[name] = (
            f"ALTER DEFAULT PRIVILEGES{role}{schema}",
            f"ON {_TYPES[row['type']]}",
            owner_words(row["role"], ourselves, row["quoted_role"]),
        )
        groups.setdefault(name, []).append(row)
    found = {}
    for name, members in sorted(groups.items()):
        head, target, owner = heads[name]
        found[name] = [f"{head} {statement}" for statement in grants(members, target, owner)]
    return found
