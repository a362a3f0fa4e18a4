"""Settings of the tests' project. The databases' parameters come from the environment, as URLs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from tests import older_cockroachdb

BASE_DIR = Path(__file__).parent
SECRET_KEY = "for tests only"
USE_TZ = True
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.django.project.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django_manticore",
    "tests.django.project.fleet",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
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
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def database(url: str) -> dict[str, Any]:
    """A database by its URL, as DATABASES has it."""
    parameters = dict(conninfo_to_dict(url))
    names = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    return {
        "ENGINE": os.environ.get("TESTS_DJANGO_ENGINE", "django.db.backends.postgresql"),
        **{names[key]: str(parameters.pop(key)) for key in names if key in parameters},
        "OPTIONS": parameters,
        "TEST": {"NAME": os.environ.get("TESTS_DJANGO_TEST_NAME")},
    }


DATABASES = {
    "default": database(os.environ.get("TESTS_DJANGO_URL", "postgresql://127.0.0.1:1/nowhere")),
    "other": database(os.environ.get("TESTS_DJANGO_OTHER_URL", "postgresql://127.0.0.1:1/nowhere")),
}
MANTICORE: dict[str, Any] = {
    "default": {
        "MIGRATIONS_DIR": os.environ.get("TESTS_DJANGO_FOLDER", BASE_DIR / "migrations_sql"),
        "RUN_WITH_MIGRATE": os.environ.get("TESTS_DJANGO_RUN_WITH_MIGRATE"),
    }
}
if DATABASES["default"]["ENGINE"] == "django_cockroachdb":
    older_cockroachdb.allow()
if "TESTS_DJANGO_OTHER_FOLDER" in os.environ:
    MANTICORE["other"] = {"MIGRATIONS_DIR": os.environ["TESTS_DJANGO_OTHER_FOLDER"]}
