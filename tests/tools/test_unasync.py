"""The generator of the sync modules: what it translates, and what it does not let pass."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

from tools import unasync
from tools.unasync import PACKAGE, Rules, main, translate

HEADER = (
    "# Generated from async_{name}.py by tools/unasync.py: edit that file, then run "
    "`make generate`.\n"
    "# fmt: off\n"
    "# ruff: noqa: I001, RUF100\n"
)


def twin_of(source: str, **names: str) -> str:
    rules = Rules(names, frozenset({"async_thing", "async_sleep"}))
    twin = translate(dedent(source), rules)
    ast.parse(twin)
    return twin


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("async def f():\n    pass\n", "def f():\n    pass\n"),
        ("async with a as b:\n    pass\n", "with a as b:\n    pass\n"),
        ("x = [y async for y in z]\n", "x = [y for y in z]\n"),
        ("x = await f(await g())\n", "x = f(g())\n"),
        ("x = (await f(1)).rows[0]\n", "x = f(1).rows[0]\n"),
        ("return_ = not (await f())\n", "return_ = not f()\n"),
        ("x = g(await f())\n", "x = g(f())\n"),
        ("x = (await f() or 1)\n", "x = (f() or 1)\n"),
        ("x = (\n    await f()\n)\n", "x = (\n    f()\n)\n"),
        ("awaited = asynchronous = 1\n", "awaited = asynchronous = 1\n"),
        ("if x:\n    await f()  # wait\n", "if x:\n    f()  # wait\n"),
    ],
)
def test_async_and_await_are_dropped(source: str, twin: str) -> None:
    assert translate(source, Rules({}, {})) == twin
    ast.parse(twin)


def test_names_lose_their_async_prefix() -> None:
    assert twin_of("class _AsyncThing(AsyncOther[AsyncIterator[int]]): ...\n") == (
        "class _Thing(Other[Iterator[int]]): ...\n"
    )


def test_a_named_rule_wins_over_the_prefix() -> None:
    assert twin_of("AsyncMigrator()\n", AsyncMigrator="Migration") == "Migration()\n"


def test_our_names_lose_their_prefix_and_other_names_keep_it() -> None:
    source = """\
        from p import concurrency
        from p.async_thing import async_strange
        await concurrency.async_sleep(1)
        """
    assert twin_of(source) == dedent(
        """\
        from p import concurrency
        from p.thing import async_strange
        concurrency.sleep(1)
        """
    )


def test_modules_their_functions_and_theconcurrencys_are_our_names(package: Path) -> None:
    write(package / "concurrency.py", "async def async_sleep(): ...\ndef sleep(): ...\n")
    write(
        package / "async_thing.py",
        "from .concurrency import async_sleep\n"
        "async def async_open(): await async_sleep(AsyncMigrator, async_foreign)\n",
    )
    write(package / "async_other.py", "from .async_thing import async_open\n")
    assert run(package) == 0
    assert body(package / "thing.py") == (
        "from .concurrency import sleep\ndef open(): sleep(Migration, async_foreign)\n"
    )
    assert body(package / "other.py") == "from .thing import open\n"


def test_what_is_awaited_becomes_its_result() -> None:
    source = """\
        from collections.abc import Awaitable, Callable, Coroutine
        from typing import Any
        A = Callable[[int], Awaitable[list[str]]]
        B = Callable[[], Coroutine[Any, Any, dict[str, int]]]
        """
    assert twin_of(source) == dedent(
        """\
        from collections.abc import Callable
        from typing import Any
        A = Callable[[int], list[str]]
        B = Callable[[], dict[str, int]]
        """
    )


def test_an_import_names_nothing_twice_and_goes_when_it_is_empty() -> None:
    source = """\
        import os
        from collections.abc import Awaitable
        from collections.abc import (
            AsyncIterator,
            Iterator,
            Sequence,
        )
        """
    assert twin_of(source) == "import os\nfrom collections.abc import Iterator, Sequence\n"


def test_a_rewritten_import_that_is_too_long_is_wrapped() -> None:
    long = [f"a_rather_long_name_number_{number}" for number in range(4)]
    twin = twin_of(f"from collections.abc import Awaitable, {', '.join(long)}\n")
    assert twin == "from collections.abc import (\n" + "".join(f"    {n},\n" for n in long) + ")\n"


def test_docstrings_comments_and_messages_speak_of_the_twin() -> None:
    source = '''\
        """Use `AsyncThing.open()` from async_thing; wait, do not await it."""
        # An AsyncThing.
        message = f"AsyncThing {x.name()} of {y!r} {{z}}" "async_thing"
        '''
    assert twin_of(f"async def f():\n{source}") == dedent(
        '''\
        def f():
                """Use `Thing.open()` from thing; wait, do not await it."""
                # An Thing.
                message = f"Thing {x.name()} of {y!r} {{z}}" "thing"
        '''
    )


@pytest.mark.parametrize(
    "module", sorted((PACKAGE / "testing").glob("*.py")), ids=lambda path: path.name
)
def test_what_is_not_async_is_left_as_it_is(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    assert translate(source, Rules({}, {})) == source


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one async module, whose rules are all needed."""
    monkeypatch.setattr(unasync, "NAMES", {"AsyncMigrator": "Migration"})
    write(tmp_path / "async_thing.py", "async def f(): await AsyncMigrator()\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def body(twin: Path) -> str:
    text = twin.read_bytes().decode()
    header = HEADER.format(name=twin.stem)
    assert text.startswith(header)
    return text.removeprefix(header)


def run(package: Path, *options: str) -> int:
    return main([*options, "--package", str(package)])


def test_the_twin_is_written_and_then_found_fresh(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(package) == 0
    assert capsys.readouterr().out == "wrote thing.py\n"
    assert body(package / "thing.py") == "def f(): Migration()\n"
    assert run(package, "--check") == 0
    assert capsys.readouterr() == ("", "")


def test_the_modules_of_a_folder_have_their_twins_in_the_folder_beside_it(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(package)
    inner = package / "inner" / "_async"
    inner.mkdir(parents=True)
    write(inner / "__init__.py", '"""Written by hand."""\n')
    write(
        inner / "work.py", "from ..async_thing import AsyncThing\nfrom .other import AsyncOther\n"
    )
    (package / "inner" / "_sync").mkdir()
    capsys.readouterr()
    assert run(package) == 0
    assert capsys.readouterr().out == "wrote inner/_sync/work.py\n"
    twin = (package / "inner" / "_sync" / "work.py").read_text(encoding="utf-8")
    assert twin.startswith("# Generated from _async/work.py by tools/unasync.py: ")
    assert twin.endswith("from ..thing import Thing\nfrom .other import Other\n")
    assert not (package / "inner" / "_sync" / "__init__.py").exists()


@pytest.mark.parametrize("spoil", ["tail\n", " "])
def test_a_stale_twin_is_found_by_any_byte(
    package: Path, capsys: pytest.CaptureFixture[str], spoil: str
) -> None:
    run(package)
    twin = package / "thing.py"
    spoilt = twin.read_text(encoding="utf-8") + spoil
    write(twin, spoilt)
    capsys.readouterr()
    assert run(package, "--check") == 1
    assert capsys.readouterr() == ("", "thing.py is stale: run `make generate`.\n")
    assert twin.read_text(encoding="utf-8") == spoilt


def test_a_missing_twin_is_found(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(package, "--check") == 1
    assert capsys.readouterr() == ("", "thing.py is missing: run `make generate`.\n")


def test_an_orphaned_twin_is_found_and_removed(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(package)
    write(package / "gone.py", HEADER.format(name="gone"))
    capsys.readouterr()
    assert run(package, "--check") == 1
    assert capsys.readouterr() == (
        "",
        "gone.py is generated, but its source is gone: run `make generate`.\n",
    )
    assert run(package) == 0
    assert capsys.readouterr().out == "removed gone.py\n"
    assert not (package / "gone.py").exists()


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_file_written_by_hand_is_not_overwritten(
    package: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    write(package / "thing.py", "by_hand = True\n")
    assert run(package, *options) == 1
    assert capsys.readouterr().err == (
        "thing.py was written by hand, and an async module has the same twin: move it away or "
        "rename one of them.\n"
    )
    assert (package / "thing.py").read_text(encoding="utf-8") == "by_hand = True\n"


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_rule_that_no_module_needs_is_an_error(
    package: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    run(package)
    capsys.readouterr()
    monkeypatch.setattr(unasync, "NAMES", {"AsyncMigrator": "Migration", "aclose": "close"})
    assert run(package, *options) == 1
    assert capsys.readouterr().err == "The rename rule aclose is unused: remove it.\n"


def test_the_checked_in_twins_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check"])
    assert (code, capsys.readouterr().err) == (0, "")
