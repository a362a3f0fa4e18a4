"""CockroachDB's words in PostgreSQL's: a statement's text is rewritten before it goes upstream.

Rewriting, rather than answering in the server's place, keeps the order of answers in a pipeline,
and lets the server evaluate WHERE clauses and parameters. Knows no sockets; changes nothing but
text (and looks at the jobs, which moves scripted ones on).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from manticore_cockroachdb.testing.proxy import Rewritten
from manticore_cockroachdb.testing.proxy.protocol import parameter_status, parameters_of, startup

from .jobs import Jobs, literal, select

Replacement: TypeAlias = "str | Callable[[re.Match[str]], str]"

SERVER_VERSION = "13.0.0"  # what CockroachDB says on every version
_LONGEST = 64 * 1024  # longer statements are data: nothing of CockroachDB's own is in them
_BLANK = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_NO_ALIAS = (
    r"where|order|limit|offset|group|having|join|left|right|inner|cross|full|natural|on|using"
    r"|union|intersect|except|for|fetch|window"
)
_ALIAS = rf"\s+(?:AS\s+)?(?!(?:{_NO_ALIAS})\b)[a-z_]\w*"
_FLAGS = re.IGNORECASE | re.DOTALL

_SESSIONS = """SELECT 1::int8 AS node_id, pid::text AS session_id, usename::text AS user_name,
 coalesce(host(client_addr) || ':' || client_port, '') AS client_address, application_name,
 CASE WHEN state = 'active' AND query !~* '^\\s*(create|alter|drop|truncate)' THEN query ELSE ''
 END AS active_queries, query AS last_active_query,
 backend_start AT TIME ZONE 'UTC' AS session_start,
 CASE WHEN state = 'active' THEN query_start AT TIME ZONE 'UTC' END AS oldest_query_start
 FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'fake_cockroach'"""
_DATABASES = """SELECT datname::text AS database_name, pg_get_userbyid(datdba)::text AS owner
 FROM pg_database WHERE NOT datistemplate"""
# Facts §6: pg_indexes lists every table's primary index, that of a hidden rowid where no key was
# given, by the name that the server's version gives it.
_INDEXES = """SELECT schemaname, tablename,
 CASE WHEN indexname = tablename || '_pkey' THEN {name} ELSE indexname END AS indexname,
 tablespace, indexdef FROM pg_catalog.pg_indexes
 UNION ALL SELECT schemaname, tablename, {name}, tablespace, 'CREATE UNIQUE INDEX ' || {name} ||
 ' ON ' || schemaname || '.' || tablename || ' USING btree (rowid ASC)' FROM pg_catalog.pg_tables AS t
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
 SELECT FROM pg_catalog.pg_index AS x WHERE x.indisprimary AND x.indrelid =
 (quote_ident(t.schemaname) || '.' || quote_ident(t.tablename))::regclass)"""


@dataclass(frozen=True, slots=True)
class _Rewrite:
    pattern: re.Pattern[str]
    replacement: Replacement
    tag: str | None


class Dialect:
    """Which words this server gets in place of others, and what it claims to be.

    With `version` None it plays nothing, and rewrites only what the test asked for.
    """

    def __init__(self, version: str | None, jobs: Jobs, known: frozenset[str]) -> None:
        self._version = version
        self._jobs = jobs
        self._known = known  # the settings upstream knows; lower case
        self._looks = True
        self._asked: list[_Rewrite] = []
        self._variables: dict[str, str] = {}
        self._own: list[_Rewrite] = []
        if version is not None:
            self._plays(version)

    def rewrite(self, pattern: str, replacement: Replacement, tag: str | None = None) -> None:
        """Replace what matches, as `re.sub` does (any case, dot matches all), from now on."""
        self._asked.append(_Rewrite(re.compile(pattern, _FLAGS), replacement, tag))

    def answers(
        self,
        pattern: str,
        columns: Sequence[str] | Mapping[str, str],
        rows: Sequence[Sequence[object]],
    ) -> None:
        """Answer matching statements with these rows; columns are TEXT or have the type given."""
        kinds = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, "text")

        def answer(found: re.Match[str]) -> str:
            # Every parameter must still be used, or the server refuses the Bind.
            used = sorted(set(re.findall(r"\$\d+", found.group())))
            wheres = [f"coalesce({name}::text, '') IS NOT NULL" for name in used]
            rest = f" WHERE {' AND '.join(wheres)}" if wheres else ""
            return f"SELECT * FROM ({select(kinds, rows)}) AS scripted{rest}"

        self.rewrite(rf"\A.*?(?:{pattern}).*\Z", answer)

    def variable(self, name: str, value: str) -> None:
        """Know a session variable of CockroachDB's: SET, SHOW, RESET, options, and the like."""
        self._variables[name.lower()] = value
        name = re.escape(name)
        shown = (
            rf"coalesce(nullif(current_setting('fake_cockroach.{name}', true), ''), {literal(value)})"
        ).replace("\\", "")
        self._add(rf"\A{_BLANK}SHOW\s+{name}\s*;?\s*\Z", lambda _: f"SELECT {shown} AS {name}")
        self._add(rf"\bcurrent_setting\s*\(\s*'{name}'\s*(?:,[^)]*)?\)", lambda _: shown)
        self._add(rf"(\bset_config\s*\(\s*)'{name}'", rf"\g<1>'fake_cockroach.{name}'")
        self._add(
            rf"(\A{_BLANK}(?:SET\s+(?:SESSION\s+|LOCAL\s+)?|RESET\s+)){name}\b",
            rf"\g<1>fake_cockroach.{name}",
        )

    def translate(self, sql: str, *, looks: bool = True) -> Rewritten:
        """The statement as it goes upstream.

        Args:
            sql: Its text.
            looks: Whether it is run now, so that jobs it looks at continue by their scripts.
        """
        self._looks = looks
        if len(sql) > _LONGEST:
            return Rewritten(sql)
        tag = None
        for each in (*self._asked, *self._own):
            sql, count = each.pattern.subn(each.replacement, sql)
            if count:
                tag = each.tag or tag
        return Rewritten(sql, tag)

    def clear(self) -> None:
        """Forget what the test asked for."""
        self._asked.clear()

    def status(self, name: str, value: str) -> bytes:
        """What the client gets for a parameter the server reports."""
        if self._version is not None and name == "server_version":
            said = parameter_status(name, SERVER_VERSION)
            return said + parameter_status("crdb_version", self._version)
        return parameter_status(name, value)

    def startup(self, body: bytes) -> bytes:
        """The start-up message that goes upstream.

        CockroachDB ignores options it does not know; PostgreSQL refuses them: they are left out.
        """
        parameters = parameters_of(body[4:])
        if self._version is not None:
            # CockroachDB runs everything SERIALIZABLE, whatever the database's own default.
            given = self._options(parameters.get("options", ""))
            parameters["options"] = f"{given} -c default_transaction_isolation=serializable".strip()
        return startup(body[:4], parameters)

    def _options(self, given: str) -> str:
        kept = []
        words = re.findall(r"(?:\\.|\S)+", given)
        joined = " ".join(words)
        for written, value in re.findall(r"(?:-c\s*|--)([\w.\-]+)=((?:\\.|\S)*)", joined):
            name = written.replace("-", "_").lower()
            if name in self._variables:
                kept.append(f"-c fake_cockroach.{name}={value}")
            elif name in self._known or "." in name:
                kept.append(f"-c {name}={value}")
        return " ".join(kept)

    def _plays(self, version: str) -> None:
        self._source(r"SHOW\s+(?:ALL\s+)?(?:CLUSTER\s+|LOCAL\s+)?SESSIONS", lambda _: _SESSIONS)
        self._source(r"SHOW\s+DATABASES", lambda _: _DATABASES)
        self._add(
            r"\[\s*SHOW\s+JOBS\s+(?P<which>SELECT\b(?:[^\[\]]|\[[^\[\]]*\])*)\]", self._some_jobs
        )
        self._source(r"SHOW\s+JOBS", lambda _: self._jobs.look(moves=self._looks))
        self._source(r"SHOW\s+JOB\s+(?P<job>'?\d+'?|\$\d+)", self._job)
        self._add(
            rf"\A{_BLANK}CANCEL\s+SESSIONS?\s+(?:IF\s+EXISTS\s+)?(?P<id>\(?\s*SELECT.*?|.+?)\s*;?\s*\Z",
            _cancel_session,
            "CANCEL SESSIONS",
        )
        self._add(rf"\A{_BLANK}SET\s+CLUSTER\s+SETTING\b.*\Z", "SELECT WHERE false", "SET CLUSTER")
        # Facts §5: the session's id is what SHOW SESSIONS shows; here, that is the process.
        self._add(r"\bcurrent_setting\s*\(\s*'session_id'\s*\)", "pg_backend_pid()::text")
        self._add(
            rf"\A{_BLANK}SHOW\s+session_id\s*;?\s*\Z", "SELECT pg_backend_pid()::text AS session_id"
        )
        if version_of(version) < (22, 1):
            # Facts §5: v21.1 takes ALL for the name of a setting.
            self._add(rf"\A{_BLANK}RESET\s+ALL\s*;?\s*\Z", 'RESET "all"')
        primary = "'primary'" if version_of(version) < (22, 1) else "tablename || '_pkey'"
        self._add(
            rf"\b(FROM|JOIN)\s+(?:pg_catalog\.)?pg_indexes\b(?P<alias>{_ALIAS})?",
            lambda found: (
                f"{found[1]} ({_INDEXES.format(name=primary)}){found['alias'] or ' AS pg_indexes'}"
            ),
        )
        self._add(r"\bpg_try_advisory_lock\s*\([^()]*\)", "(SELECT true AS pg_try_advisory_lock)")
        said = f"(SELECT {literal(version)}::text AS version)"
        self._add(r"(?<![\w.])(?:pg_catalog\.)?version\s*\(\s*\)", lambda _: said)
        for name, value in _variables(version_of(version)).items():
            self.variable(name, value)
        self.variable("crdb_version", version)

    def _source(self, pattern: str, rows: Replacement) -> None:
        """A SHOW statement alone, and as a row source in brackets or parentheses."""
        give = rows if callable(rows) else lambda _: rows
        self._add(
            rf"\A{_BLANK}{pattern}\s*;?\s*\Z", lambda found: f"SELECT * FROM ({give(found)}) AS t"
        )
        self._add(
            rf"\[\s*{pattern}\s*\](?P<alias>{_ALIAS})?",
            lambda found: f"({give(found)}){found['alias'] or ' AS shown'}",
        )
        self._add(rf"\(\s*{pattern}\s*\)", lambda found: f"({give(found)})")

    def _some_jobs(self, found: re.Match[str]) -> str:
        """[SHOW JOBS SELECT job_id FROM [SHOW JOBS] WHERE …]: one look, whatever is asked inside."""
        known = f"({self._jobs.look(moves=False)}) AS known"
        which = re.sub(r"\[\s*SHOW\s+JOBS\s*\]", lambda _: known, found["which"], flags=_FLAGS)
        jobs = self._jobs.look(whole=True, moves=self._looks)
        return f"(SELECT * FROM ({jobs}) AS jobs WHERE job_id IN ({which})) AS shown"

    def _job(self, found: re.Match[str]) -> str:
        wanted = found["job"].strip("'")
        only = None if wanted.startswith("$") else int(wanted)
        jobs = self._jobs.look(only, whole=True, moves=self._looks)
        return f"SELECT * FROM ({jobs}) AS jobs WHERE job_id = {wanted}::int8"

    def _add(self, pattern: str, replacement: Replacement, tag: str | None = None) -> None:
        self._own.append(_Rewrite(re.compile(pattern, _FLAGS), replacement, tag))


def version_of(crdb_version: str) -> tuple[int, int]:
    """Major and minor number of what `SHOW crdb_version` says."""
    found = re.search(r"v(\d+)\.(\d+)", crdb_version)
    if found is None:
        raise ValueError(f"no CockroachDB version in {crdb_version!r}")
    return int(found[1]), int(found[2])


def _variables(version: tuple[int, int]) -> dict[str, str]:
    """Session variables by the version that brought them, with that version's default."""
    known = {"sql_safe_updates": "off", "enable_experimental_alter_column_type_general": "off"}
    if version >= (24, 1):
        known["autocommit_before_ddl"] = "on" if version >= (25, 1) else "off"
    if version >= (25, 3):
        known["create_table_with_schema_locked"] = "on" if version >= (26, 1) else "off"
    return known


def _cancel_session(found: re.Match[str]) -> str:
    wanted = found["id"]
    if re.match(r"\(?\s*SELECT", wanted, re.IGNORECASE):
        inner = wanted if wanted.startswith("(") else f"({wanted})"
        return f"SELECT pg_terminate_backend(id::int) FROM {inner} AS cancelled(id)"
    return f"SELECT pg_terminate_backend({wanted}::text::int)"
