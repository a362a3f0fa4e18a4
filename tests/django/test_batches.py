"""A statement in batches that stopped in the middle, as commands and the admin show it."""

from __future__ import annotations

import json
import re

import pytest
from django.core.management.base import CommandError

from tests.django.conftest import Site
from tests.django.test_admin import LIST, client, text

BATCH = "-- manticore: batch=100 target=60s\nUPDATE t SET n = n + 1;"
LINE = r"line 2 in batches: 100 rows in 1 window, up to 100, [\d,]+ rows/s"


@pytest.fixture
def stopped(site: Site) -> Site:
    """Row 150 is refused: of three windows one is done."""
    site.script(
        "V1__t",
        "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8 NOT NULL CHECK (id <> 150 OR n = 0));\n"
        "INSERT INTO t SELECT i, 0 FROM generate_series(1, 250) AS g(i);",
    )
    site.script("V2__add", BATCH)
    with pytest.raises(CommandError) as caught:
        site.call("manticore_migrate")
    assert caught.value.returncode == 4
    return site


def test_the_list_shows_how_far_it_has_come(stopped: Site) -> None:
    first, second, third, fourth = stopped.call("manticore_showmigrations").splitlines()
    assert (first, second) == ("default", " [X] V1__t")
    assert third == " [~] V2__add (partially applied: run manticore_migrate to finish it)"
    assert re.fullmatch(rf"       {LINE}(, about \S+ left)?", fourth)
    report = json.loads(stopped.call("manticore_showmigrations", json=True))
    done, partial = report["databases"][0]["scripts"]
    assert done["batch"] is None
    batch = partial["batch"]
    assert (
        batch["line"],
        batch["position"],
        batch["windows"],
        batch["rows"],
        batch["scanned"],
    ) == (
        2,
        ["100"],
        1,
        100,
        100,
    )
    assert set(batch) >= {"total", "seconds", "rate", "remaining"}


def test_resolve_shows_it_and_starts_it_again(stopped: Site) -> None:
    shown = stopped.call("manticore_resolve")
    assert re.search(rf"^  {LINE}", shown, re.MULTILINE)
    stopped.script("V2__add", BATCH.replace("n + 1", "n + 10"))
    out = stopped.call("manticore_resolve", restart_batch=2, interactive=False)
    assert out.endswith("The next run starts the batch of version 2 again.\n")
    stopped.query("DELETE FROM t WHERE id = 150")
    stopped.call("manticore_migrate")
    found = stopped.query("SELECT n, count(*) FROM t GROUP BY n ORDER BY n")
    assert found == [(10, 149), (11, 100)]


def test_the_admin_shows_it(stopped: Site) -> None:
    stopped.call("migrate", verbosity=0)
    page = text(client(is_staff=True, is_superuser=True).get(LIST))
    assert re.search(LINE, page)
