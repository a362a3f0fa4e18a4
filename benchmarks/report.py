"""The run's figures as a page: Markdown tables and plots. Measures nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from . import plots
from .cockroach import FIGURES

_TEMPLATE = Path(__file__).with_name("page.md")
_VERBS = ("migrate", "nothing", "rollback")
Row = dict[str, Any]


def write(results: dict[str, Any], docs: Path) -> list[Path]:
    """Write the page, its plots and the bare figures.

    Args:
        results: What was measured.
        docs: The documentation's folder.

    Returns:
        The files written.
    """
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    figures, page = folder / "results.json", docs / "benchmarks.md"
    figures.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    beside = folder / FIGURES
    cockroachdb = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else None
    page.write_text(_page(results, cockroachdb), encoding="utf-8")
    return [page, figures, *plots.draw(results, folder)]


def _page(results: dict[str, Any], cockroachdb: dict[str, Any] | None) -> str:
    far, near, scale = results["far"], results["near"], results["scale"]
    link = _number(results["link"] * 1000)
    scripts = results["scripts"]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        date=results["date"],
        machine=results["machine"],
        server=results["server"],
        versions=_versions(far),
        startup=_number(_ours(far)["migrate"]["startup"]),
        scripts=scripts,
        link=link,
        far=_contest(far, scripts),
        near=_contest(near, scripts),
        repeats=results["repeats"],
        commands=_commands(results["commands"], link),
        imports=_table(
            ("Module", "Milliseconds"),
            [(f"`{name}`", f"{spent * 1000:.0f}") for name, spent in results["imports"].items()],
        ),
        scale=_scale(scale),
        lexing=_table(
            ("Text", "MB/s"),
            [(kind, _number(speed)) for kind, speed in scale["lexing"].items()],
        ),
        limit=_limit(scale["lexing"]),
        cockroachdb=_cockroachdb(cockroachdb),
    )


def _versions(rows: list[Row]) -> str:
    there = [f"{row['package']} {row['version']}" for row in rows if "version" in row]
    missing = [row["missing"] for row in rows if "missing" in row]
    said = "Versions: " + ", ".join(dict.fromkeys(there))
    return said + (f". Not installed and left out: {', '.join(missing)}" if missing else "")


def _ours(rows: list[Row]) -> Row:
    return next(row for row in rows if row["tool"] == "Manticore")


def _contest(rows: list[Row], scripts: int) -> str:
    ours = _ours(rows)
    head = (
        "Tool", "Transaction",
        "Migrate: ×", "seconds", "round trips", "per script",
        "Nothing to do: ×", "seconds", "round trips",
        "Roll back: ×", "seconds", "per script",
    )  # fmt: skip
    return _table(head, [_line(row, ours, scripts) for row in rows])


def _line(row: Row, ours: Row, scripts: int) -> tuple[str, ...]:
    name = f"**{row['tool']}**" if row is ours else row["tool"]
    cells = [name, row["transactions"]]
    for verb in _VERBS:
        wide = 4 if verb == "migrate" else 3
        found = row.get(verb)
        if found is None:
            cells += ["–"] * wide
            continue
        cells += [_number(found["seconds"] / ours[verb]["seconds"]), _number(found["seconds"])]
        per_script = f"{found['trips'] / scripts:.2f}"
        trips = _number(found["trips"])
        cells += {"migrate": [trips, per_script], "nothing": [trips], "rollback": [per_script]}[
            verb
        ]
    return tuple(cells)


def _commands(commands: dict[str, Any], link: str) -> str:
    lines = []
    for name in ("manticore_migrate", "migrate"):
        near, far = commands["near"][name], commands["far"][name]
        base = commands["near"]["manticore_migrate"], commands["far"]["manticore_migrate"]
        lines.append(
            (
                f"`manage.py {name}`",
                f"{near['seconds'] / base[0]['seconds']:.2f}",
                f"{near['seconds']:.2f}",
                f"{far['seconds'] / base[1]['seconds']:.2f}",
                f"{far['seconds']:.2f}",
                _number(far["trips"]),
            )
        )
    head = ("Command", "×", "seconds", f"{link} ms link: ×", "seconds", "round trips")
    return _table(head, lines)


def _scale(scale: dict[str, Any]) -> str:
    load, data = scale["load"], scale["data"]
    lines = [
        (
            f"Read and check a folder of {load['scripts']:,} scripts, plan a run",
            _number(load["load"] + load["plan"]),
            f"{load['bytes'] / 1e6:.0f} MB more than before",
        ),
        (
            f"Apply one data script of {data['bytes'] / 1e6:.0f} MB",
            _number(data["seconds"]),
            f"{data['peak'] / 1e6:.0f} MB, the interpreter's {data['before'] / 1e6:.0f} MB included",
        ),
    ]
    if "apply" in scale:
        found = scale["apply"]
        lines.append(
            (
                f"Apply {found['scripts']:,} scripts",
                _number(found["seconds"]),
                f"{found['peak'] / 1e6:.0f} MB in all",
            )
        )
    if "rows" in scale:
        found = scale["rows"]
        lines.append(
            (
                f"Apply a script that selects {found['rows']:,} rows",
                _number(found["seconds"]),
                f"{found['peak'] / 1e6:.0f} MB in all",
            )
        )
    for key in ("databases, jobs=1", "databases, jobs=8"):
        found = scale[key]
        what = f"{found['databases']} databases, {found['scripts']} scripts each, `{key[11:]}`"
        lines.append((what, _number(found["seconds"]), f"{found['peak'] / 1e6:.0f} MB in all"))
    return _table(("What", "Seconds", "Highest memory"), lines)


def _cockroachdb(found: dict[str, Any] | None) -> str:
    if found is None:
        return "Not measured: `python -m benchmarks.cockroach` needs a CockroachDB."
    stream, fresh = found["stream"], found["bootstrap"]
    return (
        f"Measured on {found['date']} by `python -m benchmarks.cockroach`: {found['server']}.\n\n"
        + _table(
            ("What", "Seconds", "Compared with", "Seconds", "×"),
            [
                (
                    f"Apply {stream['scripts']} scripts of one INSERT each",
                    _number(stream["manticore"]),
                    "plain psycopg, pipelined, a ledger row in each transaction",
                    _number(stream["psycopg"]),
                    f"{stream['times']:.2f}",
                ),
                (
                    f"`bootstrap` {fresh['scripts']} scripts of four schema changes each",
                    _number(fresh["bootstrap"]),
                    "`migrate`, one schema change at a time",
                    _number(fresh["stepwise"]),
                    f"{fresh['bootstrap'] / fresh['stepwise']:.2f}",
                ),
            ],
        )
        + "\n\nBrief scripts that are sent together share a transaction on CockroachDB, so they can be "
        "faster than one transaction each. The lease is proved once in every transaction."
    )


def _limit(lexing: dict[str, float]) -> str:
    slow = [kind for kind, speed in lexing.items() if speed < 20]
    if not slow:
        return "All kinds are above 20 MB/s here."
    return f"Below 20 MB/s here for that reason: {', '.join(slow)}."


def _number(value: float) -> str:
    """Two or three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 10 else f"{value:.2f}".removesuffix(".00")


def _table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    rule = ("---", *["---:"] * (len(head) - 1))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))
