"""The app's entry into Django: registers checks and listens to `migrate`."""

# ruff: noqa: PLC0415 - models must be loaded first
from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate, pre_migrate


class ManticoreConfig(AppConfig):
    """The app `django_manticore`."""

    name = "django_manticore"
    verbose_name = "SQL migrations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what Django calls."""
        from . import checks, receivers

        register(checks.check_settings)
        register(checks.check_files)
        register(checks.check_databases, Tags.database)
        register(checks.check_deployment, deploy=True)
        register(checks.check_before_serving)
        pre_migrate.connect(
            receivers.before_migrate, dispatch_uid="django_manticore.before_migrate"
        )
        post_migrate.connect(receivers.after_migrate, dispatch_uid="django_manticore.after_migrate")
