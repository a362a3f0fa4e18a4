"""Start a PostgreSQL of one's own: fast, forgetful, reachable from this machine with a password.

Nothing it holds outlives it, so it does not wait for disks. It knows PostgreSQL's programs and
options; folders, processes and users are the keeper's.
"""

from __future__ import annotations

import secrets
import shutil
import socket
from functools import partial
from pathlib import Path

from manticore_cockroachdb.errors import ConnectionFailed
from manticore_cockroachdb.testing.keeper import Keeper, User, unprivileged_user
from manticore_cockroachdb.testing.waiting import wait_until_ready

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "32MB",
    # In the data folder, not in the machine's: a killed server leaves no segment behind.
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
}
# Between finding a free port and the server's taking it, another program may take it.
_PORT_TRIES = 5
_PORT_TAKEN = "could not bind"


def start_postgres(programs: Path, port: int | None = None) -> tuple[Keeper, str]:
    """Start a server by the programs in a folder.

    Args:
        programs: The folder.
        port: The port to listen on; None: a free one.

    Returns:
        The keeper to close when done, and the URL of the server's empty database.

    Raises:
        ConnectionFailed: It did not come up; says what its programs printed.
    """
    user = unprivileged_user()
    keeper = Keeper(user, stop_signal="SIGQUIT")
    try:
        if user is not None and not _reaches(user, programs):
            programs = _copied(programs, keeper.folder / "programs")
        password = secrets.token_hex(16)
        data = keeper.folder / "data"
        _make_data_folder(keeper, programs, data, password)
        return keeper, _serve(keeper, programs, data, password, port)
    except BaseException:
        keeper.close()
        raise


def _make_data_folder(keeper: Keeper, programs: Path, data: Path, password: str) -> None:
    password_file = keeper.write("password", password + "\n")
    keeper.run(
        [
            programs / "initdb",
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
    )


def _serve(keeper: Keeper, programs: Path, data: Path, password: str, wanted: int | None) -> str:
    options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [programs / "postgres", "-D", data, *options]
    for _ in range(_PORT_TRIES):
        port = wanted or _free_port()
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable"
        keeper.start([*command, "-c", f"port={port}"])
        try:
            return wait_until_ready(keeper, partial(str, url))
        except ConnectionFailed as error:
            if _PORT_TAKEN not in str(error):
                raise
            if wanted:
                raise ConnectionFailed(
                    f"The port {wanted} is used by another program. Name another port, or leave it "
                    "out to use a free one."
                ) from error
    raise ConnectionFailed(
        f"PostgreSQL found no free port in {_PORT_TRIES} tries: each one was taken by "
        "another program in the meantime. Try again."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reaches(user: User, programs: Path) -> bool:
    root = programs.parent
    wanted = [root, programs, programs / "initdb", programs / "postgres"]
    wanted += [folder for name in ("lib", "share") if (folder := root / name).exists()]
    wanted += root.glob("share/**/postgres.bki")
    return all(user.reaches(path) for path in wanted)


def _copied(programs: Path, target: Path) -> Path:
    """Copy a PostgreSQL that its user cannot reach to where it can, and return the new folder.

    Opening the folders on the way to it would be the alternative: those are not ours to open.
    """
    root = programs.parent
    if not list(root.glob("share/**/postgres.bki")):
        raise ConnectionFailed(
            f"PostgreSQL refuses to run as root, and the user it can run as cannot read {root}. "
            "Make that folder readable for all, or run this as an ordinary user."
        )
    # The wheel keeps some libraries beside its package; programs find them by the relative path.
    libraries = root.parent.with_name(f"{root.parent.name}.libs")
    copy = target / root.parent.name / root.name
    for source, destination in (
        (root / "lib", copy / "lib"),
        (root / "share", copy / "share"),
        (libraries, target / libraries.name),
    ):
        if source.is_dir():
            shutil.copytree(
                source, destination, ignore=shutil.ignore_patterns("*.a", "doc", "locale")
            )
    copied_programs = copy / programs.name
    copied_programs.mkdir()
    for name in ("initdb", "postgres"):
        shutil.copy(programs / name, copied_programs / name)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return copied_programs
