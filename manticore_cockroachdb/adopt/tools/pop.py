"""pop (soda): `20260301120000_add_users.up.sql`, for one server `….postgres.up.sql`, or `….up.fizz`.

https://github.com/gobuffalo/pop: `match.go`, `migrator.go`, `migration_content.go`. Files may be templates
of Go (`{{ … }}`), which only the program that runs them can fill in. They run in the order of their
versions as text. Its ledger is one column of text; whatever has no row is applied.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

from ..templates import is_template
from ..text import decode, described, names, number
from ..tool import Tool, column_renamed
from ..values import (
    MARK,
    Folder,
    Found,
    Guard,
    Reading,
    Recognition,
    Remark,
    Sql,
    Sure,
    TheirLedger,
    TheirMigration,
    TheirRow,
    TheirTable,
    Trouble,
)

NAME: Final = "pop"
_SERVERS: Final = ("postgres", "postgresql", "pg", "cockroach", "cockroachdb", "crdb")
_OTHERS: Final = ("mysql", "mariadb", "sqlite", "sqlite3", "oracle")
_FILE: Final = re.compile(
    rf"([0-9]+)_([^.]+)(?:\.({'|'.join((*_SERVERS, *_OTHERS))}))?(\.autocommit)?\.(up|down)\.(sql|fizz)"
)
_TABLE: Final = "schema_migration"


def recognize(folder: Folder) -> Recognition | None:
    """By files in fizz, for one server, or with templates; else its names are golang-migrate's."""
    found = names(folder, _FILE)
    for name, match in found:
        if match[6] == "fizz" or match[3] or match[4]:
            return Recognition(NAME, Sure.CERTAIN, f"{name} is named as only its files are")
    for name, _ in found:
        text = decode(folder.path(name), folder.files[name])
        if isinstance(text, str) and is_template(text):
            return Recognition(
                NAME, Sure.LIKELY, f"{name} is a template, and named as its files are"
            )
    return None


def read(folder: Folder) -> Reading:
    """Pair the files of each version; of those for one server only one server's may be there."""
    ups: dict[str, list[tuple[str, re.Match[str]]]] = defaultdict(list)
    downs: dict[str, list[str]] = defaultdict(list)
    problems: list[Remark] = []
    left: list[Remark] = []
    for name, match in names(folder, _FILE):
        path = folder.path(name)
        if match[3] in _OTHERS:
            left.append(Remark(f"is for {match[3]} only.", path))
        elif number(match[1]) is None:
            problems.append(Remark("its version is beyond what a ledger can hold.", path))
        elif match[5] == "up":
            ups[match[1]].append((name, match))
        else:
            downs[match[1]].append(name)
    migrations = []
    for version in sorted(ups):
        (name, match), *others = ups[version]
        several = others or downs[version][1:]
        if several:
            other = others[0][0] if others else downs[version][1]
            message = (
                f"has version {version}, and so has {other}. Copy the files for your server to a "
                "separate folder, and name that (--from)."
            )
            problems.append(Remark(message, folder.path(name)))
            continue
        down = downs[version][0] if downs[version] else None
        up = _sql(folder, name, problems)
        if up is None and name.endswith(".sql"):
            continue  # it cannot be decoded, which is among the problems
        migrations.append(
            TheirMigration(
                key=version,
                name=name,
                description=described(match[2]),
                number=number(version),
                up=up,
                down=_sql(folder, down, problems) if down else None,
                why_not="" if up else "it is fizz, not SQL",
                transactional=not match[4],
            )
        )
    left += [
        Remark("is a down file without an up file.", folder.path(each[0]))
        for version, each in downs.items()
        if each and version not in ups
    ]
    return Reading(tuple(migrations), tuple(problems), tuple(left))


def _sql(folder: Folder, name: str, problems: list[Remark]) -> Sql | None:
    if not name.endswith(".sql"):
        return None
    path = folder.path(name)
    text = decode(path, folder.files[name])
    if isinstance(text, Remark):
        problems.append(text)
        return None
    return Sql(text, path)


def read_ledger(found: Found, _reading: Reading) -> TheirLedger:
    """A row for each version; when they were applied is not recorded."""
    rows = found.rows.get(_TABLE, ())
    return TheirLedger(
        tuple(
            TheirRow(each)
            for each in sorted(str(row.get("version", row.get(MARK))) for row in rows)
        )
    )


def guard(found: Found) -> Guard:
    """Its one column is renamed: pop applies whatever has no row, so no row can stop it."""
    return column_renamed(
        found,
        _TABLE,
        "version",
        'problem checking for migration version …: ERROR: column "version" does not exist',
    )


TOOL: Final = Tool(
    name=NAME,
    title="pop",
    recognize=recognize,
    read=read,
    tables=(TheirTable(_TABLE, frozenset({"version"}), without=frozenset({"dirty", "name"})),),
    read_ledger=read_ledger,
    guard=guard,
    remedies={
        Trouble.OUT_OF_ORDER: "Apply {name} with `soda migrate`, or remove its file.",
        Trouble.MISSING_FILE: "Restore the file of {name}; `soda migrate status` lists what pop knows.",
    },
)
