"""A harness for moving in: a database, another tool's folder, ours, and what both ledgers say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from manticore_cockroachdb.adopt import Adoption, AsyncAdoption
from tests.flavors import Flavour, Threaded

from .histories import History


class Harness:
    """One flavor over a database and two folders of the test.

    Attributes:
        flavour: The flavor.
        url: The database.
        theirs: The other tool's folder.
        ours: The folder for our scripts.
    """

    def __init__(self, flavour: Flavour, url: str, folder: Path) -> None:
        self.flavour = flavour
        self.url = url
        self.theirs = folder / "theirs"
        self.ours = folder / "ours"

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files into the other tool's folder."""
        self.theirs.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = self.theirs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def make(self, history: History, name: str | None = None) -> None:
        """Write a history's files and make its tables; the schema is what its first two scripts make."""
        self.theirs = self.theirs.parent / (name or history.root)
        self.write(history.files)
        self.ask("CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT)")
        self.ask("CREATE TABLE rides (id INT8 PRIMARY KEY, rider INT8)")
        for statement in history.ledger:
            self.ask(statement)

    def make_again(self, history: History) -> None:
        """Make the tables as they were, whatever was done to them."""
        for statement in history.ledger[::-1]:
            if statement.startswith(("CREATE TABLE", "CREATE SCHEMA")):
                kind, name = statement.split()[1:3]
                self.ask(f"DROP {kind} {name}")
        self.ask("DROP TABLE IF EXISTS schema_lock")
        for statement in history.ledger:
            self.ask(statement)

    def url_as(self, user: str) -> str:
        """The database's URL for another user."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{user}@{parts.hostname}:{parts.port}").geturl()

    def adoption(self, **options: Any) -> Any:
        """An adoption of the flavor."""
        database = self.flavour.database(self.url)
        if self.flavour.name == "async":
            return AsyncAdoption(database, self.theirs, self.ours, **options)
        return Threaded(Adoption(database.wrapped, self.theirs, self.ours, **options))

    def migration(self, **options: Any) -> Any:
        """Our engine over our folder."""
        return self.flavour.migration(self.flavour.database(self.url), self.ours, **options)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows: list[tuple[Any, ...]] = []
            for each in question.split("; "):
                cursor = connection.execute(each.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def one(self, question: str) -> Any:
        """The first value of the first row."""
        return self.ask(question)[0][0]

    def ledger(self) -> list[int]:
        """The versions in our ledger."""
        return [version for (version,) in self.ask("SELECT version FROM _migrations ORDER BY 1")]

    def has_ledger(self) -> bool:
        """Whether our ledger is there."""
        return bool(self.one("SELECT count(*) FROM pg_class WHERE relname = '_migrations'"))

    def written(self) -> dict[str, str]:
        """Our files by name."""
        if not self.ours.exists():
            return {}
        return {path.name: path.read_text("utf-8") for path in sorted(self.ours.iterdir())}
