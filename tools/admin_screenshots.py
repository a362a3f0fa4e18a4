"""Takes the screenshots of the admin's pages that the documentation shows: `docs/assets/admin*.png`.

    python tools/admin_screenshots.py

Needs playwright and a Chromium on the PATH, or named by CHROMIUM. Starts a server, makes a
small site with scripts in every state, and removes both.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb.testing import server

ASSETS = Path(__file__).resolve().parents[1] / "docs" / "assets"
SCRIPTS = {
    "V1__create_riders": "CREATE TABLE riders (\n    id INT8 PRIMARY KEY,\n    name TEXT NOT NULL,\n"
    "    phone TEXT\n);",
    "V2__create_rides": "CREATE TABLE rides (\n    id INT8 PRIMARY KEY,\n"
    "    rider_id INT8 NOT NULL REFERENCES riders (id),\n    price_cents INT8\n);",
    "V3__index_rides_by_rider": "CREATE INDEX rides_by_rider ON rides (rider_id);",
    "V4__ride_prices": "-- Rides of last year have no price.\n-- manticore: batch=5000\n"
    "UPDATE rides SET price_cents = 0 WHERE price_cents IS NULL;\n\n"
    "ALTER TABLE rides ALTER COLUMN price_cents SET NOT NULL;",
    "V5__one_rider_per_phone": "CREATE UNIQUE INDEX riders_by_phone ON riders (phone);",
}


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Print nothing."""


def main() -> int:
    """Take the screenshots; the exit code."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        print("No Chromium: install it, or name it in CHROMIUM.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, server() as running:
        _configure(running.new_database("shop"), Path(folder))
        cookie = _site(Path(folder))
        _shoot(chromium, cookie)
    return 0


def _configure(url: str, folder: Path) -> None:
    from django.conf import settings  # noqa: PLC0415 - configured here
    from django.contrib import admin  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    sys.modules["screenshots_urls"] = sys.modules[__name__]
    parts = conninfo_to_dict(url)
    settings.configure(
        SECRET_KEY="for screenshots only",  # noqa: S106 - as it says
        DEBUG=True,
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        STATIC_URL="/static/",
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django_manticore",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts["dbname"],
                "HOST": parts["host"],
                "PORT": parts["port"],
                "USER": parts["user"],
                "PASSWORD": parts.get("password", ""),
            }
        },
        MANTICORE={"default": {"MIGRATIONS_DIR": folder}},
    )
    import django  # noqa: PLC0415

    django.setup()
    globals()["urlpatterns"] = [path("admin/", admin.site.urls)]


def _site(folder: Path) -> str:
    """Scripts in every state, and the cookie of somebody who is logged in."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - Django is set up by now
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from django_manticore import get_migration  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    for number, (name, sql) in enumerate(SCRIPTS.items(), 1):
        (folder / f"{name}.sql").write_text(f"{sql}\n\n-- DOWN\nSELECT {number};\n", "utf-8")
    call_command("manticore_migrate", "3", verbosity=0)
    with get_migration().db as db:
        db.execute(
            "UPDATE _migrations_state SET version = 4, direction = 'up', statements_done = 0, "
            "batch_windows = 412, batch_rows = 2060000, error = %s",
            [
                "V4__ride_prices.sql:3: the connection was lost: server closed the connection unexpectedly"
            ],
        )
    script = folder / "V2__create_rides.sql"
    script.write_text("-- Rides, one row for each.\n" + script.read_text("utf-8") + "-- ", "utf-8")
    browser = Client()
    browser.force_login(User.objects.create_superuser("ann", password="x"))  # noqa: S106
    return browser.cookies["sessionid"].value


def _shoot(chromium: str, cookie: str) -> None:
    from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needed here only

    httpd = make_server(
        "127.0.0.1", 0, StaticFilesHandler(get_wsgi_application()), handler_class=_Quiet
    )
    Thread(target=httpd.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{httpd.server_port}"
    page_of = f"{url}/admin/django_manticore/migrationrecord/"
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            context = browser.new_context(
                color_scheme=scheme,  # type: ignore[arg-type]
                viewport={"width": 1280, "height": 680},
                device_scale_factor=1.5,
            )
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": url}])
            page = context.new_page()
            page.goto(page_of)
            page.screenshot(path=ASSETS / f"admin{suffix}.png")
            page.goto(f"{page_of}5/change/?database=default")
            page.screenshot(path=ASSETS / f"admin-script{suffix}.png")
        browser.close()
    httpd.shutdown()
    httpd.server_close()


if __name__ == "__main__":
    raise SystemExit(main())
