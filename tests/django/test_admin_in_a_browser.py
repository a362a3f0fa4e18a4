"""The admin's pages in a real browser: light and dark, what is seen, and what can be clicked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from tests.django.conftest import Site
from tests.waiting import PATIENCE

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
LIST = "/admin/django_manticore/migrationrecord/"

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium: install it, or name it in CHROMIUM"
)

#: The contrast of an element's text with its background, as WCAG 2 defines it.
CONTRAST = """
(element) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  let painted = element;
  let color;
  do {
    color = parse(getComputedStyle(painted).backgroundColor);
    painted = painted.parentElement;
  } while (painted && color.length === 4 && color[3] === 0);
  const pair = [light(parse(getComputedStyle(element).color)), light(color)].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
}
"""


class Quiet(WSGIRequestHandler):
    """A request is not worth a line."""

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def served(site: Site) -> Iterator[tuple[str, str]]:
    """The project's site on this machine, with scripts in every state; its URL and a session's key."""
    from django.contrib.auth.models import User
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.wsgi import get_wsgi_application
    from django.db import connections
    from django.test import Client

    site.call("migrate", verbosity=0)
    for version in (1, 2, 3):
        site.script(f"V{version}__part_{version}", f"SELECT {version}")
    site.call("manticore_migrate", verbosity=0)
    site.script("V2__part_2", "SELECT 'edited'")
    (site.folder / "V3__part_3.sql").unlink()
    site.script("V4__fill", "CREATE TABLE q (id INT8 PRIMARY KEY);\nSELECT 4;\nSELECT 5;", None)
    site.script("V5__drop", "DROP TABLE q;", None)
    site.query(
        "UPDATE _migrations_state SET version = 4, direction = 'up', statements_done = 1, "
        "error = 'relation \"x\" does not exist'"
    )
    browser = Client()
    browser.force_login(User.objects.create_superuser("ann", password="x"))
    cookie = browser.cookies["sessionid"].value
    # A browser opens connections ahead of its requests: a server of one thread would wait for them.
    httpd = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    httpd.daemon_threads = False  # closing waits for them
    httpd.set_app(StaticFilesHandler(get_wsgi_application()))
    thread = Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", cookie
    httpd.shutdown()
    thread.join()
    httpd.server_close()
    connections.close_all()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, served: tuple[str, str]) -> Iterator[Any]:
    """A browser's page, logged in, in one of the two color schemes; nothing it loads may fail."""
    url, cookie = served
    failed: list[str] = []
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            base_url=url, color_scheme=request.param, viewport={"width": 1280, "height": 900}
        )
        context.set_default_timeout(PATIENCE * 1000)
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": url}])
        opened = context.new_page()
        opened.on("pageerror", lambda error: failed.append(str(error)))
        opened.on(
            "response",
            lambda answer: (
                failed.append(answer.url)
                if answer.status >= 400 and not answer.url.endswith("/favicon.ico")
                else None
            ),
        )
        yield opened
        browser.close()
    assert failed == []


def test_the_list_can_be_read_in_both_schemes(page: Any, request: pytest.FixtureRequest) -> None:
    page.goto(LIST)

    shown = {row.inner_text().split("\t")[0]: row for row in page.locator("tbody tr").all()}
    assert [version for version in shown if version.startswith("V")] == [
        "V1",
        "V2",
        "V3",
        "V4",
        "V5",
    ]
    assert 'relation "x" does not exist' in page.locator("tr.manticore-error").inner_text()
    dark = "dark" in request.node.name
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark
    texts = page.locator(".manticore-state, .manticore-remark, .manticore-error td").all()
    assert len(texts) > 8
    pale = {
        text.inner_text(): round(text.evaluate(CONTRAST), 1)
        for text in texts
        if text.inner_text() and text.evaluate(CONTRAST) < 4.5
    }
    assert pale == {}


def test_a_version_leads_to_its_script_and_a_finding_to_its_line(page: Any) -> None:
    page.goto(LIST)

    page.locator("tr", has_text="drop").get_by_role("link", name="lint finding").click()

    # A click returns before the page that it leads to is there.
    page.wait_for_url("**/5/change/?database=default#findings")
    assert page.locator("h1").inner_text() == "V5__drop.sql"
    assert "error line 1: DROP TABLE q" in page.locator("#content").inner_text()
    page.get_by_role("link", name="SQL migrations").first.click()
    page.locator("#result_list").wait_for(state="visible")


def test_a_script_can_be_read_in_both_schemes(page: Any) -> None:
    page.goto(f"{LIST}4/change/?database=default")

    assert "1 of 3 statements done" in page.locator("#content").inner_text()
    words = page.locator(".manticore-sql span").all()
    assert words
    assert [word.inner_text() for word in words if word.evaluate(CONTRAST) < 4.5] == []


@pytest.mark.parametrize("width", [1280, 768, 400])
def test_a_page_is_never_wider_than_its_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in (LIST, f"{LIST}4/change/?database=default"):
        page.goto(path)
        wider = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wider <= 0, path
