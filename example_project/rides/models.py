"""Models over tables and a view that SQL scripts made: `managed = False`, so Django makes none."""

from __future__ import annotations

from django.db import models


class Scooter(models.Model):
    id = models.UUIDField(primary_key=True)
    code = models.TextField(unique=True)
    model = models.TextField()
    battery = models.BigIntegerField(default=100)

    class Meta:
        managed = False
        db_table = "scooters"

    def __str__(self) -> str:
        return self.code


class RideListRow(models.Model):
    """A row of the view `ride_list` (V6): read, never written."""

    id = models.UUIDField(primary_key=True)
    number = models.BigIntegerField()
    scooter = models.TextField()
    model = models.TextField()
    rider = models.TextField()
    state = models.TextField()
    started_at = models.DateTimeField()
    minutes = models.BigIntegerField(null=True)
    price_cents = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ride_list"
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"ride {self.number}"

    @property
    def price(self) -> str:
        return f"{self.price_cents // 100}.{self.price_cents % 100:02d}"
