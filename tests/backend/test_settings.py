"""Where a database is: URLs, parameters, libpq's environment, and what messages show of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from manticore_cockroachdb._backend.session_state import named_in, startup_options
from manticore_cockroachdb._backend.settings import ConnectionSettings
from manticore_cockroachdb.errors import SettingsError

LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGOPTIONS", "PGSERVICE", "PGSERVICEFILE")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIBPQ:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pw@db/app", "db/app"),
        ("postgresql://u:pw@db:5433/app", "db:5433/app"),
        ("postgresql://u@db1,db2/app", "db1,db2/app"),
        ("postgresql://u@h1,h2:5433/app", "h1,h2:5433/app"),
        ("postgresql://u@h1:5432,h2:5433/app", "h1:5432,h2:5433/app"),
        ("postgresql://u@h1,h2/app?port=26257", "h1:26257,h2:26257/app"),
        ("postgresql://u@[::1]:5432/app", "::1:5432/app"),
        ("postgresql:///app", "local socket/app"),
        ("postgresql:///app?hostaddr=10.0.0.1", "10.0.0.1/app"),
        ("postgresql:///app?service=mine", "service mine/app"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert ConnectionSettings.from_url(url).place == shown


@pytest.mark.parametrize("port", ["0", "x", "99999", "5432,x", "5432,-1"])
def test_a_port_that_is_not_a_number_is_refused(port: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ConnectionSettings.from_parameters({"host": "a,b", "port": port})
    assert str(caught.value) == (
        f"The port {port.rpartition(',')[2]!r} is not a number from 1 to 65535."
    )


def test_what_libpq_takes_from_the_environment_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ConnectionSettings.from_parameters({})
    monkeypatch.setenv("PGHOST", "db.example.org")
    monkeypatch.setenv("PGDATABASE", "shop")
    assert settings.place == "db.example.org/shop"
    monkeypatch.setenv("PGPORT", "5433")
    assert settings.place == "db.example.org:5433/shop"
    monkeypatch.setenv("PGSERVICE", "none-such")
    assert settings.place == "service none-such/shop"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", []),
        ("-c search_path=a", ["search_path"]),
        ("-csearch_path=a --lock-timeout=3 -c a.b=c", ["a.b", "lock_timeout", "search_path"]),
        (r"-c search_path=a,\ b --cluster=mine-12", ["cluster", "search_path"]),
    ],
)
def test_the_settings_that_options_name(options: str, names: list[str]) -> None:
    assert sorted(named_in(options)) == names


def test_our_options_come_before_the_users_and_arguments_after_them() -> None:
    assert startup_options("--cluster=c -c lock_timeout=3s", {"statement_timeout": "5000"}) == (
        "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 "
        "--cluster=c -c lock_timeout=3s -c statement_timeout=5000"
    )


def test_options_come_from_the_parameters_then_the_service_then_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services"
    services.write_text(
        "[mine]\noptions=-c role=service\nhost=nowhere.invalid\nhostaddr=10.0.0.1\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGOPTIONS", "-c role=environment")

    def options(**given: str) -> str:
        return ConnectionSettings.from_parameters(given).options

    assert options() == "-c role=environment"
    assert options(service="mine") == "-c role=service"
    assert options(service="mine", options="-c role=parameter") == "-c role=parameter"
    monkeypatch.delenv("PGOPTIONS")
    assert options(host="db") == ""
