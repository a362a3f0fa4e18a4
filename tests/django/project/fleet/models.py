"""One model of Django's, one over a script's table."""

from __future__ import annotations

from django.db import models


class City(models.Model):
    """Managed by Django."""

    name = models.TextField()

    def __str__(self) -> str:
        return self.name


class Scooter(models.Model):
    """Its table is made by V1__create_scooters.sql."""

    code = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "scooters"

    def __str__(self) -> str:
        return self.code
