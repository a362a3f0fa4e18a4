"""What differs between the servers this package runs on: the one place that knows.

Differences are asked for by what a server says of itself or answers, not by version numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._sql.server_kind import ServerKind


@dataclass(frozen=True, slots=True)
class Server:
    """A server as one of its sessions found it.

    Attributes:
        kind: Which of the two it is.
        version: Its version, for people.
        database: The session's database.
        schema: The schema new tables go to.
        user: The session's user.
        schemas: The schemas along its search_path that exist, first to last.
    """

    kind: ServerKind
    version: str
    database: str
    schema: str
    user: str
    schemas: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name and version in one, as shown above a run."""
        return f"{self.kind.value} {self.version}"

    @property
    def ddl_is_transactional(self) -> bool:
        """Whether a schema change commits and rolls back with the rows beside it.

        On CockroachDB it does not: after COMMIT the change continues as a job, and when the job fails the
        rows stay. https://www.cockroachlabs.com/docs/stable/online-schema-changes
        """
        return self.kind is ServerKind.POSTGRESQL

    @property
    def has_jobs(self) -> bool:
        """Whether schema changes run as background jobs that outlive their client."""
        return self.kind is ServerKind.COCKROACHDB

    @property
    def serializable_only(self) -> bool:
        """Whether scripts run at SERIALIZABLE, whatever the server would also allow."""
        return self.kind is ServerKind.COCKROACHDB

    @property
    def obeys_cancel(self) -> bool:
        """Whether asking it to cancel a statement ends that statement without effect."""
        return self.kind is ServerKind.POSTGRESQL


#: Needed only where schema statements run inside an explicit transaction. Unknown ones (42704) are
#: passed over: servers that do not know them behave as if they were so.
#: https://www.cockroachlabs.com/docs/stable/session-variables
IN_TRANSACTION_DDL: tuple[str, ...] = (
    "SET autocommit_before_ddl = off",
    "SET create_table_with_schema_locked = off",
)

UNDEFINED_OBJECT = "42704"
INSUFFICIENT_PRIVILEGE = "42501"

#: The transaction was committed, and then a schema change in it failed: rows stay, the change does not.
#: https://www.cockroachlabs.com/docs/stable/online-schema-changes#limitations
PARTIALLY_COMMITTED = "XXA00"


def kind_of(crdb_version: str | None) -> ServerKind:
    """Which server it is, by the `crdb_version` it reports at start-up (only CockroachDB does)."""
    return ServerKind.POSTGRESQL if crdb_version is None else ServerKind.COCKROACHDB


def version_of(crdb_version: str | None, server_version: str | None) -> str:
    """The version for people: `v21.1.21` from `CockroachDB CCL v21.1.21 (…)`, or PostgreSQL's own."""
    if crdb_version is None:
        return (server_version or "unknown version").split(" ")[0]
    found = re.search(r"v\d+\.\d+[\w.\-]*", crdb_version)
    return found.group() if found else crdb_version
