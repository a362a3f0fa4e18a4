"""Scripts that change a CockroachDB's schema in its own ways, and what must be true afterwards.

Written so that doing anything twice, or not at all, shows: in the rows, in the catalogs, or both.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

USERS = "CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT NOT NULL, n INT8 NOT NULL DEFAULT 0)"
FILL = "INSERT INTO users SELECT i, 'n' || i::TEXT, 0 FROM generate_series(1, 200) AS g(i)"
COUNT = "UPDATE users SET n = n + 1"

#: Each schema statement alone. On a fresh database, as many of them together as can be.
STEPWISE = {
    "V1__users": (USERS, "CREATE INDEX users_name ON users (name)"),
    "V2__rows": (FILL, COUNT),
    "V3__email": (
        "ALTER TABLE users ADD COLUMN email TEXT",
        "UPDATE users SET email = name || '@x', n = n + 1",
        "CREATE UNIQUE INDEX users_email ON users (email)",
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL",
    ),
    "V4__orders": (
        "CREATE TABLE orders (id INT8 PRIMARY KEY, user_id INT8 NOT NULL, total INT8)",
        "ALTER TABLE orders ADD CONSTRAINT orders_user FOREIGN KEY (user_id) REFERENCES users (id)",
        "CREATE INDEX ON orders (total)",
        "INSERT INTO orders SELECT i, i, i FROM generate_series(1, 100) AS g(i)",
        "ALTER TABLE orders ADD CHECK (total > 0)",
    ),
    "V5__count": (COUNT, f"{COUNT} WHERE id % 2 = 0"),
    "V6__log": (
        "CREATE TABLE log (id INT8 PRIMARY KEY, t TEXT)",
        "INSERT INTO log VALUES (1, 'a')",
        "TRUNCATE log",
        "INSERT INTO log VALUES (2, 'b')",
        "CREATE INDEX log_t ON log (t)",
        "DROP INDEX log_t",
    ),
}

#: Each script a transaction: what it adds to a table is used by the next one.
ATOMIC = {
    "V1__users": (USERS, "CREATE INDEX users_name ON users (name)", FILL),
    "V2__rows": (COUNT, f"{COUNT} WHERE id % 2 = 0"),
    "V3__email": (
        "ALTER TABLE users ADD COLUMN email TEXT",
        "CREATE INDEX users_n ON users (n)",
        COUNT,
    ),
    "V4__fill": ("UPDATE users SET email = name || '@x', n = n + 1",),
    "V5__orders": (
        "CREATE UNIQUE INDEX users_email ON users (email)",
        "CREATE TABLE orders (id INT8 PRIMARY KEY, user_id INT8 REFERENCES users (id), total INT8)",
        "CREATE TABLE log (id INT8 PRIMARY KEY, t TEXT)",
        "INSERT INTO log VALUES (1, 'a')",
    ),
    "V6__rows": ("INSERT INTO orders SELECT i, i, i FROM generate_series(1, 100) AS g(i)",),
    "V7__check": (
        "ALTER TABLE orders ADD CHECK (total > 0)",
        "CREATE INDEX ON orders (total)",
        COUNT,
    ),
}


def write(folder: Path, mode: str) -> Path:
    """The scripts of a mode as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, statements in (ATOMIC if mode == "atomic" else STEPWISE).items():
        (folder / f"{name}.sql").write_text(";\n".join(statements) + ";\n")
    return folder


def snapshot(url: str) -> dict[str, object]:
    """Schema, rows and ledger: everything that a run may change, and nothing that depends on when."""
    with psycopg.connect(url, autocommit=True) as connection:

        def ask(question: str) -> list[tuple[object, ...]]:
            return connection.execute(question.encode()).fetchall()

        tables = ask(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' "
            "AND table_name NOT LIKE '\\_migrations%' ORDER BY 1"
        )
        found: dict[str, object] = {
            "ledger": ask("SELECT version, description, checksum FROM _migrations ORDER BY 1"),
            "unfinished": ask("SELECT version, in_flight FROM _migrations_state"),
        }
        for (table,) in tables:
            created = str(ask(f"SHOW CREATE TABLE {table}")[0][1]).splitlines()
            # Columns and indexes are listed in the order in which they were made.
            found[f"table {table}"] = sorted(line.strip().rstrip(",") for line in created)
            found[f"rows of {table}"] = ask(f"SELECT * FROM {table} ORDER BY id")
        return found
