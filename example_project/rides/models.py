"""Models over tables and a view that SQL scripts made: `managed = False`, so Django makes none."""

# Fields stand as in every Django project; their types would need the plugin of django-stubs.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

from django.db import models


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


class Scooter(models.Model):
    id = models.UUIDField(primary_key=True)
    code = models.TextField(unique=True)
    model = models.TextField()
    battery = models.BigIntegerField(default=100)

    class Meta:
        managed = False
        db_table = "scooters"

    def __str__(self) -> str:
        return str(self.code)


class Rider(models.Model):
    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    phone = models.TextField()

    class Meta:
        managed = False
        db_table = "riders"

    def __str__(self) -> str:
        return str(self.name)


class Ride(models.Model):
    """A ride. Its `state` is an enum on the server and text here."""

    id = models.UUIDField(primary_key=True)
    number = models.BigIntegerField(unique=True)
    scooter = models.ForeignKey(Scooter, models.PROTECT)
    rider = models.ForeignKey(Rider, models.PROTECT)
    state = models.TextField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    price_cents = models.BigIntegerField(default=0)

    class Meta:
        managed = False
        db_table = "rides"

    def __str__(self) -> str:
        return f"ride {self.number}"

    @property
    def minutes(self) -> int | None:
        if self.finished_at is None:
            return None
        return int((self.finished_at - self.started_at).total_seconds() // 60)

    @property
    def price(self) -> str:
        return _amount(self.price_cents)


class ScooterTotal(models.Model):
    """A row of the view that V6 makes: read, never written."""

    id = models.UUIDField(primary_key=True)
    code = models.TextField()
    model = models.TextField()
    battery = models.BigIntegerField()
    rides = models.BigIntegerField()
    earned_cents = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "scooter_totals"

    def __str__(self) -> str:
        return str(self.code)

    @property
    def earned(self) -> str:
        return _amount(self.earned_cents)
