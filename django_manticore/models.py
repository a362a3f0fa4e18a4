"""One model without a table: what the admin's page and its permission hang on.

The ledger is read by the library, never through this model.
"""

# ruff: noqa: ARG002 - Django's methods are given more than these need
from __future__ import annotations

from typing import NoReturn

from django.db import models


class NoRows(models.Manager["MigrationRecord"]):
    """There is no table to read: `dumpdata` and the like find nothing, instead of failing."""

    def get_queryset(self) -> models.QuerySet[MigrationRecord]:
        """No rows, and no query."""
        return super().get_queryset().none()


class MigrationRecord(models.Model):
    """A row of the ledger, as far as Django's admin needs to know."""

    version: models.BigIntegerField[int, int] = models.BigIntegerField(primary_key=True)

    objects = NoRows()

    class Meta:
        """Not managed: Django makes, changes and empties no table for it."""

        managed = False
        base_manager_name = "objects"
        default_permissions = ("view",)
        verbose_name = "SQL migration"
        verbose_name_plural = "SQL migrations"

    def __str__(self) -> str:
        return f"V{self.version}"

    def save(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: the ledger is written by runs alone."""
        raise TypeError("A MigrationRecord cannot be saved: the ledger is written by runs alone.")

    def delete(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: see `save`."""
        raise TypeError("A MigrationRecord cannot be deleted: use manticore_rollback.")
