"""The app that shows rides; its tables come from migrations_sql, not from Django's migrations."""

from django.apps import AppConfig


class RidesConfig(AppConfig):
    name = "rides"
