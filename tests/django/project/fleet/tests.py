"""What `manage.py test` runs in the tests' project: scripts' tables are there in every kind of test."""

from __future__ import annotations

from django.db import connection
from django.test import TestCase, TransactionTestCase

from .models import City, Scooter


def applied() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM _migrations ORDER BY version")
        return [version for (version,) in cursor.fetchall()]


class InTransaction(TestCase):
    def test_the_scripts_table_is_there(self) -> None:
        Scooter.objects.create(code="a")
        assert applied() == [1, 2]


class FlushedOne(TransactionTestCase):
    def test_rows_and_ledger(self) -> None:
        City.objects.create(name="Kiel")
        assert applied() == [1, 2]


class FlushedTwo(TransactionTestCase):
    def test_the_ledger_outlives_the_flush(self) -> None:
        assert not City.objects.exists()
        assert applied() == [1, 2]
