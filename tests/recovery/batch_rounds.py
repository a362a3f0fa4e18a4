"""Batches over random tables and keys; runs are killed, suspended, cut off and refused on the way.

One round is a table, a script with a batch, and a few faults; in the end each row must have been changed
exactly once, by a statement that shows if it ran twice. As a program it makes any number of faults:

    python -m tests.recovery.batch_rounds --faults 500 [--url URL] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg

from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing import server as testing_server
from manticore_cockroachdb.testing.proxy import (
    Proxy,
    drop_after,
    drop_before,
    error,
    hold,
    hold_answer,
)
from tests.recovery import runner_process
from tests.recovery.runner_process import PATIENCE, Order

_LETTERS = "aAbBzZäÄßéñ日 '\"\\,(){}0189_-%"


@dataclass(frozen=True)
class Kind:
    """A type that a key's column can have.

    Attributes:
        sql: Its name.
        value: Makes a value, as SQL.
        needs: What the server must have for it: "" is any, "postgresql", or a collation of PostgreSQL's.
        made: How many different values there are, about.
    """

    sql: str
    value: Callable[[random.Random], str]
    needs: str = ""
    made: int = 10**9


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(chance: random.Random) -> str:
    return _quoted("".join(chance.choice(_LETTERS) for _ in range(chance.randint(0, 9))))


def _moment(chance: random.Random) -> datetime:
    start = datetime(1999, 12, 31, tzinfo=UTC)
    return start + timedelta(microseconds=chance.randint(0, 10**15))


KINDS = (
    Kind("INT8", lambda c: str(c.randint(-(2**62), 2**62))),
    Kind("INT4", lambda c: str(c.randint(-500, 500)), made=1000),
    Kind("INT2", lambda c: str(c.randint(-300, 300)), made=600),
    Kind("UUID", lambda c: _quoted(str(uuid.UUID(int=c.getrandbits(128))))),
    Kind("TEXT", _text),
    Kind('TEXT COLLATE "C"', _text, "C"),
    Kind('TEXT COLLATE "pg_c_utf8"', _text, "pg_c_utf8"),
    Kind('TEXT COLLATE "en-x-icu"', _text, "en-x-icu"),
    Kind("TEXT COLLATE blind", _text, "en-x-icu"),
    Kind("TEXT COLLATE de", lambda c: f"{_text(c)} COLLATE de", "cockroachdb"),
    Kind("VARCHAR(12)", _text),
    Kind("CHAR(11)", _text, "postgresql"),
    Kind("DATE", lambda c: _quoted(str(date(1970, 1, 1) + timedelta(c.randint(0, 40000))))),
    Kind("TIMESTAMPTZ", lambda c: _quoted(_moment(c).isoformat())),
    Kind("TIMESTAMP", lambda c: _quoted(_moment(c).replace(tzinfo=None).isoformat())),
    Kind(
        "INTERVAL",
        lambda c: _quoted(f"{c.randint(-90, 90)} days {c.randint(0, 10**6)} seconds"),
        "postgresql",
    ),
    Kind("NUMERIC", lambda c: f"{c.randint(-(10**12), 10**12)}.{c.randint(0, 10**9)}"),
    Kind("FLOAT8", lambda c: repr(c.uniform(-1e9, 1e-9))),
    Kind("BYTEA", lambda c: f"'\\x{c.getrandbits(40):010x}'"),
    Kind("INET", lambda c: _quoted(f"10.{c.randint(0, 255)}.{c.randint(0, 255)}.1")),
    Kind("BOOL", lambda c: c.choice(("true", "false")), made=2),
    Kind("mood", lambda c: _quoted(c.choice(("sad", "ok", "happy"))), made=3),
)


@dataclass(frozen=True)
class Case:
    """A table, a script over it, and what must come of it.

    Attributes:
        scripts: Files by name.
        wanted: A query that answers one row, and that row.
        shown: What the case is, in one line.
    """

    scripts: dict[str, str]
    wanted: tuple[str, tuple[object, ...]]
    shown: str


def case(chance: random.Random, has: frozenset[str]) -> Case:
    """A random case.

    Args:
        chance: Decides.
        has: What the server has; see `Kind.needs`.
    """
    kinds = [kind for kind in KINDS if kind.needs in has]
    columns = chance.choices(kinds, k=chance.choice((1, 1, 1, 2, 2, 3)))
    room = 1
    for kind in columns:
        room = min(room * kind.made, 10**9)
    rows = min(chance.choice((0, 1, 7, 60, 150, 300)), room // 2)
    names = [f'"K {n}"' if chance.random() < 0.2 else f"k{n}" for n in range(len(columns))]
    values = {tuple(kind.value(chance) for kind in columns) for _ in range(rows)}
    is_primary = chance.random() < 0.7
    declared = ", ".join(
        f"{name} {kind.sql} NOT NULL" for name, kind in zip(names, columns, strict=True)
    )
    key = ", ".join(names)
    constraint = f"PRIMARY KEY ({key})" if is_primary else f"UNIQUE ({key})"
    listed = ", ".join(f"({', '.join(row)}, {n % 10}, 0)" for n, row in enumerate(sorted(values)))
    # What is equal under a collation or after rounding is left out by the server.
    fill = f"INSERT INTO t VALUES {listed} ON CONFLICT DO NOTHING;\n" if listed else ""
    kinds_made = ""
    if "en-x-icu" in has:
        kinds_made = (
            "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', "
            "deterministic = false);\n"
        )
    table = (
        f"{kinds_made}CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');\n"
        f"CREATE TABLE t ({declared}, part INT8 NOT NULL, n INT8 NOT NULL, {constraint});\n"
        "CREATE TABLE parts (part INT8 PRIMARY KEY);\nINSERT INTO parts VALUES (1), (3), (8);\n"
        f"CREATE TABLE copied (part INT8 NOT NULL);\n{fill}-- DOWN\n"
    )
    options = (
        f"batch={chance.choice((1, 5, 17, 40, 1000)) if rows < 100 else chance.choice((9, 23, 64))}"
    )
    if not is_primary:
        written = ",".join(names)
        if '" ' in written or " " in written:
            # Options are separated by spaces, so such a name cannot be written in one.
            return case(chance, has)
        options += f" key={written}"
    options += chance.choice(("", " target=5ms", " target=30ms"))
    batch, wanted = _statement(chance)
    before = chance.choice(
        ("", "CREATE TABLE before (i INT8);\n", "INSERT INTO parts VALUES (20);\n")
    )
    after = chance.choice(
        ("", "CREATE TABLE after (i INT8);\n", "INSERT INTO parts VALUES (21);\n")
    )
    body = f"{before}-- manticore: {options}\n{batch}\n;\n{after}"
    if chance.random() < 0.3:
        scripts = {"V1__t.sql": table, "V2__batch.sql": f"SELECT 1;\n-- DOWN\n{body}"}
    else:
        scripts = {"V1__t.sql": table, "V2__batch.sql": body}
    kinds_shown = ", ".join(kind.sql for kind in columns)
    return Case(scripts, (wanted, (0,)), f"({kinds_shown}) {len(values)} rows, {options}: {batch}")


#: Statements that show if a row was changed twice, and queries that count the rows that are wrong.
_STATEMENTS = (
    ("UPDATE t SET n = n + 1", "SELECT count(*) FROM t WHERE n <> 1"),
    (
        "UPDATE t AS x SET n = n + 1 WHERE x.part > 4 OR x.n > 5 -- half of them",
        "SELECT count(*) FROM t WHERE n <> (CASE WHEN part > 4 THEN 1 ELSE 0 END)",
    ),
    (
        "UPDATE t SET n = t.n + 1 FROM parts AS p WHERE p.part = t.part",
        "SELECT count(*) FROM t WHERE n <> (CASE WHEN part IN (1, 3, 8) THEN 1 ELSE 0 END)",
    ),
    (
        "INSERT INTO copied SELECT t.part FROM t WHERE t.part < 7 OR t.part = 9",
        (
            "SELECT count(*) FROM (SELECT part, count(*) FROM t WHERE part < 7 OR part = 9 GROUP BY part) "
            "AS a FULL JOIN (SELECT part, count(*) FROM copied GROUP BY part) AS b USING (part, count) "
            "WHERE a.part IS NULL OR b.part IS NULL"
        ),
    ),
)


def _statement(chance: random.Random) -> tuple[str, str]:
    return chance.choice(_STATEMENTS)


def _collations(server: RunningServer) -> list[str]:
    if server.kind == "cockroachdb":
        return []
    with psycopg.connect(server.url) as connection:
        return [name for (name,) in connection.execute("SELECT collname FROM pg_collation")]


class Rounds:
    """Rounds on fresh databases of one server.

    Attributes:
        faults: What has happened to runs so far: kills, suspensions, cuts, refusals.
        kinds: How many rounds each type of key was in.
        rounds: How many rounds there were.
    """

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.faults: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.rounds = 0
        self.has = frozenset({"", server.kind, *_collations(server)})

    def round(self, seed: int) -> None:
        """One case, with faults that the seed decides; raises where a row was not changed once."""
        chance = random.Random(seed)  # noqa: S311 - the same round each time
        made = case(chance, self.has)
        what = f"seed {seed}: {made.shown}"
        with tempfile.TemporaryDirectory() as place, self._database() as url:
            folder = Path(place)
            for name, text in made.scripts.items():
                (folder / name).write_text(text, encoding="utf-8")
            verb = "rollback" if "-- DOWN" in made.scripts["V2__batch.sql"] else "migrate"
            self._prepare(url, folder, verb)
            with Proxy(url) as proxy:
                order = Order(proxy.url, folder, chance.choice(("sync", "async")), verb)
                for _ in range(chance.randint(1, 4)):
                    self._fault(proxy, order, url, chance, what)
                proxy.reset()
                runner_process.let_the_lease_run_out(url)
                self._finish(order, what)
            question, answer = made.wanted
            with psycopg.connect(url, autocommit=True) as connection:
                found = connection.execute(question.encode()).fetchone()
                versions = connection.execute("SELECT count(*) FROM _migrations").fetchone()
        assert found == answer, f"{what}: {found} rows are wrong"
        assert versions == ((2,) if verb == "migrate" else (0,)), what
        self.rounds += 1
        self.kinds.update(set(made.shown[1 : made.shown.index(") ")].split(", ")))

    def _prepare(self, url: str, folder: Path, verb: str) -> None:
        if verb == "rollback":
            runner_process.run(Order(url, folder, "sync", "migrate"))
        else:
            later = folder / "V2__batch.sql"
            text = later.read_text(encoding="utf-8")
            later.unlink()
            runner_process.run(Order(url, folder, "sync", "migrate"))
            later.write_text(text, encoding="utf-8")

    def _fault(
        self, proxy: Proxy, order: Order, url: str, chance: random.Random, what: str
    ) -> None:
        proxy.reset()
        runner_process.let_the_lease_run_out(url)
        kth, seen = chance.randint(1, 60), count(1)
        refusals = ("40001",) if self.server.kind == "postgresql" else ()  # injected by a DO block
        fault = chance.choice(("kill", "kill", "cut", "cut", "freeze", *refusals))
        if fault == "freeze":
            self._freeze(proxy, order, url, chance, what)
            return
        if fault == "kill":
            release = threading.Event()
            freeze = chance.choice((hold, hold_answer))(release)
            rule = proxy.rule(lambda _sql: next(seen) == kth, then=freeze)
            process = runner_process.start(order)
            try:
                deadline = time.monotonic() + PATIENCE
                while not rule.fired and process.is_alive():
                    assert time.monotonic() < deadline, f"{what}: nothing happened"
                    time.sleep(0.002)
            finally:
                self.faults["kill"] += runner_process.kill(process)
                release.set()
            return
        if fault == "cut":
            then = chance.choice((drop_before, drop_after))()
        else:
            then = error("40001", "restart transaction")
        places = {kth, kth + 45, kth + 90}  # a window that loses its connection twice is given up
        rule = proxy.rule(lambda _sql: next(seen) in places, then=then, nth=None)
        self._finish(order, what)
        self.faults[fault] += rule.fired

    def _freeze(
        self, proxy: Proxy, order: Order, url: str, chance: random.Random, what: str
    ) -> None:
        """A runner is suspended around a window, another one takes over, and the first one wakes up."""
        kth, seen = chance.randint(1, 20), count(1)
        release = threading.Event()
        freeze = chance.choice((hold, hold_answer))(release)
        rule = proxy.rule(lambda sql: _is_of_a_window(sql) and next(seen) == kth, then=freeze)
        process = runner_process.start(order)
        try:
            deadline = time.monotonic() + PATIENCE
            while not rule.fired and process.is_alive():
                assert time.monotonic() < deadline, f"{what}: nothing happened"
                time.sleep(0.002)
            if not _signal(process, signal.SIGSTOP):
                return
            release.set()  # what it has sent continues without it
            runner_process.let_the_lease_run_out(url)
            self._finish(replace(order, url=url), what)
            _signal(process, signal.SIGCONT)
            process.join(PATIENCE)
            assert not process.is_alive(), f"{what}: the runner that woke up did not end"
            self.faults["freeze"] += 1
        finally:
            release.set()
            if process.is_alive():
                runner_process.kill(process)

    def _finish(self, order: Order, what: str) -> None:
        process = runner_process.start(order)
        process.join(PATIENCE)
        if process.is_alive():
            runner_process.kill(process)
            raise AssertionError(f"{what}: a run did not end")
        assert process.exitcode == 0, f"{what}: a run failed"

    @contextmanager
    def _database(self) -> Iterator[str]:
        url = self.server.new_database()
        yield url
        self.server.drop_database(url)


def _is_of_a_window(sql: str) -> bool:
    """Whether a statement is one of those that a window consists of."""
    return any(each in sql for each in ("AS last_row", "WITH changed AS", "batch_position = $4"))


def _signal(process: BaseProcess, number: signal.Signals) -> bool:
    """Send a signal; whether there was still a process to send it to."""
    assert process.pid is not None
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _say(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=500, help="kills, suspensions and cuts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url")
    options = parser.parse_args()
    environ = {"MANTICORE_TEST_URL": options.url} if options.url else {}
    began = time.monotonic()
    with testing_server("MANTICORE_TEST_URL", environ=environ) as server:
        rounds = Rounds(server)
        for seed in count(options.seed):
            rounds.round(seed)
            done = sum(rounds.faults[each] for each in ("kill", "cut", "freeze"))
            if rounds.rounds % 10 == 0 or done >= options.faults:
                told = {
                    "rounds": rounds.rounds,
                    "faults": dict(rounds.faults),
                    "seconds": round(time.monotonic() - began),
                    "last_seed": seed,
                }
                _say(told)
            if done >= options.faults:
                _say({"keys": dict(rounds.kinds.most_common())})
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
