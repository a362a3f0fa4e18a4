"""The documentation is held to the code: every name has its entry, and no entry is left over."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import runpy
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from django_manticore import checks, conf, messages
from django_manticore.management import exit_codes
from django_manticore.management.json_lines import LAST_LINES
from manticore_cockroachdb import errors, events
from manticore_cockroachdb.adopt import TOOLS, Trouble
from manticore_cockroachdb.errors import ManticoreError
from manticore_cockroachdb.event_json import event_kind
from manticore_cockroachdb.lint import RULES
from tests.docs.docs_pages import DOCS, code, read, rows, sections

ROOT = DOCS.parent
EVENTS = {
    event_kind(event): tuple(field.name for field in fields(event))
    for _, event in inspect.getmembers(events, inspect.isclass)
    if issubclass(event, events.Event) and event is not events.Event
}

ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, ManticoreError) and not error.__name__.startswith("_")
]
COMMANDS = sorted(
    path.stem
    for path in (ROOT / "django_manticore" / "management" / "commands").glob("manticore_*.py")
)


# -- names ---------------------------------------------------------------------------------------


def test_the_migrations_page_is_as_its_users_know_it() -> None:
    page = (DOCS / "api" / "migrations.md").read_bytes()

    assert hashlib.sha256(page).hexdigest() == (
        "4e12fbb2439dd3851aa346da76e49cc91cb6523e906193c8621bafb646460e39"
    )


def test_a_fence_that_a_page_leaves_open_is_closed_for_the_site() -> None:
    close = runpy.run_path(str(DOCS / "_hooks.py"))["on_page_markdown"]

    pages = [path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))]
    changed = [close(page) for page in pages if close(page) != page]

    assert changed == [read("api/migrations.md") + "\n```\n"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_class_has_an_entry_in_the_recovery_page(error: type[ManticoreError]) -> None:
    assert error.__name__ in sections(read("recovery.md"))


@pytest.mark.parametrize(
    "error", [error for error in ERRORS if error is not ManticoreError], ids=lambda e: e.__name__
)
def test_every_error_class_is_documented_with_its_exit_code(error: type[ManticoreError]) -> None:
    number = exit_codes.exit_code(error.__new__(error))

    assert sections(read("recovery.md"))[error.__name__].lstrip().startswith(f"*Exit code {number}")
    (row,) = [
        cells
        for cells in rows(sections(read("commands.md"))["Exit codes"])
        if error.__name__ in code(cells[2])
    ]
    assert row[0] == str(number)


def test_every_exit_code_is_documented_and_no_other() -> None:
    codes = {0, *(value for value in vars(exit_codes).values() if isinstance(value, int))}

    documented = rows(sections(read("commands.md"))["Exit codes"])

    assert [int(cells[0]) for cells in documented] == sorted(codes)


def test_every_setting_has_an_entry_and_no_other() -> None:
    headings = [name for name in sections(read("settings.md")) if name.isupper()]

    assert headings == list(conf.KEYS)


def test_the_settings_page_says_the_defaults() -> None:
    defaults = conf.Entry("default")

    table = {code(key)[0]: code(value)[0] for key, value, *_ in rows(read("settings.md"))}

    assert list(table) == list(conf.KEYS)
    for key in set(conf.KEYS) - {"MIGRATIONS_DIR", "RUN_WITH_MIGRATE"}:
        assert ast.literal_eval(table[key]) == getattr(defaults, key.lower())
    assert table["MIGRATIONS_DIR"] == f'BASE_DIR / "{conf.DEFAULT_FOLDER}"'
    assert table["RUN_WITH_MIGRATE"] == str(defaults.run_with_migrate.value)


def test_every_command_has_an_entry_and_no_other() -> None:
    headings = [name for name in sections(read("commands.md")) if name.startswith("manticore_")]

    assert sorted(headings) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    ours = _arguments(load_command_class("django_manticore", name))
    everywhere = _arguments(_Plain())

    documented = {
        shown.split()[0]
        for cells in rows(sections(read("commands.md"))[name])
        for shown in code(cells[0])
        if not shown.startswith("[")
    }

    assert documented == ours - everywhere


def test_the_page_of_the_rules_is_written_from_the_rules() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "rules_page.py"))["page"]

    assert read("rules.md") == page(), "run `make generate`"


@pytest.mark.parametrize("name", ["CHANGELOG.md", "README.md", "docs/comparison.md"])
def test_the_number_of_rules_is_the_same_everywhere(name: str) -> None:
    (number,) = re.findall(r"\b(\d+) rules", (ROOT / name).read_text(encoding="utf-8"))

    assert int(number) == len(RULES)


def test_every_event_of_a_run_in_json_is_documented_with_its_keys() -> None:
    documented = {
        code(cells[0])[0]: tuple(code(cells[1]))
        for cells in rows(sections(read("commands.md"))["JSON lines of a run"])
        if code(cells[0])[0] in {*EVENTS, *LAST_LINES}
    }
    assert documented == {**EVENTS, **LAST_LINES}


def test_every_mark_of_the_list_is_documented() -> None:
    marks = set(messages.MARKS.values())

    shown = code(
        "".join(c[0] for c in rows(sections(read("commands.md"))["manticore_showmigrations"]))
    )

    assert {text for text in shown if text.startswith("[")} == marks


def test_every_check_id_is_documented_and_no_other() -> None:
    source = inspect.getsource(checks)
    used = set(re.findall(r"manticore\.[EWI]\d{3}", source))

    documented = [code(cells[0])[0] for cells in rows(read("checks.md"))]

    assert sorted(documented) == sorted(used)
    assert len(set(documented)) == len(documented)


def test_every_tool_to_come_from_is_in_its_page_and_no_other() -> None:
    page = sections(read("coming-from.md"))

    assert [code(cells[1])[0] for cells in rows(page["The tools"])] == list(TOOLS)
    assert {cells[0] for cells in rows(page["What to fix first"])} == {
        trouble.value for trouble in Trouble
    }


def test_links_of_the_readme_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_links_to_headings_lead_to_them() -> None:
    wrong = []
    for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        for target, anchor in re.findall(
            r"\]\((?!https?:)((?:[^)#\s]*\.md)?)#([^)\s]+)\)", path.read_text(encoding="utf-8")
        ):
            page = (path.parent / target).resolve() if target else path
            if anchor not in _anchors(page.read_text(encoding="utf-8")):
                wrong.append(f"{path.name}: {target}#{anchor}")
    assert wrong == []


def test_pages_that_the_readme_links_read_well_where_markdown_is_plain() -> None:
    """Code hosting sites show tabs, admonitions and attributes raw, and a block's title not at all."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    raw, unnamed = [], []
    for name in re.findall(r"\]\(docs/([\w-]+\.md)\)", readme):
        page = read(name)
        raw += re.findall(r"^ *(?:!!!|\?\?\?|===) .*$|\{ *[#.:][^}]*\}", page, re.MULTILINE)
        for fence in re.finditer(r'^ *```\w+ title="([\w/.-]+\.\w+)', page, re.MULTILINE):
            section = page[max(0, page.rfind("\n#", 0, fence.start())) : fence.start()]
            if Path(fence[1]).name not in section:
                unnamed.append(f"{name}: {fence[1]}")
    assert (raw, unnamed) == ([], [])


def test_what_is_installed_has_the_names_that_pages_tell() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pages = [read(str(path.relative_to(DOCS))) for path in sorted(DOCS.rglob("*.md"))]
    pages.append((ROOT / "README.md").read_text(encoding="utf-8"))

    told = re.findall(r'pip install "?([\w-]+)(?:\[(\w+)\])?', "\n".join(pages))

    assert {name for name, _ in told} == {project["name"]}
    assert {extra for _, extra in told if extra} <= set(extras)


def _anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as the site and code hosting sites make them."""
    prose = re.sub(r"^ *```.*?^ *```$", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in headings}


class _Plain(BaseCommand):
    """A command with nothing but Django's own options."""


def _arguments(command: BaseCommand) -> set[str]:
    parser = command.create_parser("manage.py", "command")
    return {name for action in parser._actions for name in (action.option_strings or [action.dest])}
