"""Settings of the example: DATABASE_URL names the server, everything else is fixed."""

import os
from pathlib import Path
from typing import Any

from manticore_cockroachdb.types import ConnectionSettings

BASE_DIR = Path(__file__).resolve().parent.parent


def database(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a postgresql://, postgres:// or cockroachdb:// URL."""
    options = dict(ConnectionSettings.from_url(url).parameters)
    on_cockroachdb = url.startswith("cockroachdb://")
    return {
        "ENGINE": "django_cockroachdb" if on_cockroachdb else "django.db.backends.postgresql",
        "NAME": options.pop("dbname", "defaultdb" if on_cockroachdb else "postgres"),
        "USER": options.pop("user", ""),
        "PASSWORD": options.pop("password", ""),
        "HOST": options.pop("host", ""),
        "PORT": options.pop("port", ""),
        "OPTIONS": options,
    }


DATABASES = {"default": database(os.environ["DATABASE_URL"])}
DISABLE_COCKROACHDB_TELEMETRY = True

MANTICORE = {
    "default": {
        # The demo works on a copy, because it writes a script and edits it.
        "MIGRATIONS_DIR": os.environ.get("SCRIPTS_DIR", BASE_DIR / "migrations_sql"),
    },
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_manticore",
    "rides",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "scooters.urls"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"

# An example on a loopback address: give your own project another secret.
SECRET_KEY = "scooters-example-only"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
