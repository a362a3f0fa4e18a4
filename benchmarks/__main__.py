"""The one command: measures everything, and writes the page of the documentation.

`python -m benchmarks` takes about six minutes on a quiet machine and rewrites docs/benchmarks.md. With
`--quick` it is a fifth of that, for a look, and writes nothing unless a folder is named. `--page-only`
writes the page again from the figures of the last run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from manticore_cockroachdb.testing import server as testing_server

from . import scale, startup
from .contest import ROOT, contest

_DOCS = ROOT / "docs"


def main() -> None:
    """Measure, and write the page."""
    arguments = _arguments()
    docs = arguments.docs or (None if arguments.quick else _DOCS)
    if arguments.page_only:
        docs = docs or _DOCS
        results = json.loads((docs / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    else:
        started = time.monotonic()
        results = _measure(quick=arguments.quick, link=arguments.link / 1000)
        print(f"measured in {time.monotonic() - started:.0f} s")
    if docs is not None:
        from .report import write  # noqa: PLC0415 - the plots' library is large: after measuring

        for path in write(results, docs):
            print(path.relative_to(docs.parent) if path.is_relative_to(docs.parent) else path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="fewer scripts, smaller sizes")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    parser.add_argument("--link", type=float, default=20, help="milliseconds of a round trip (20)")
    parser.add_argument("--docs", type=Path, help="the folder the page is written into")
    return parser.parse_args()


def _measure(*, quick: bool, link: float) -> dict[str, Any]:
    scripts, repeats = (40, 3) if quick else (200, 5)
    work = Path(tempfile.mkdtemp(prefix="benchmarks-"))
    try:
        with testing_server("BENCHMARK_SERVER_URL") as server:
            print(f"{server.description}; {_machine()}")
            if server.kind != "postgresql":
                sys.exit("The other tools know PostgreSQL: set BENCHMARK_SERVER_URL to one.")
            results: dict[str, Any] = {
                "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                "machine": _machine(),
                "server": server.description.partition(" (")[0] + " on the same machine",
                "scripts": scripts,
                "link": link,
                "repeats": repeats,
            }
            for key, length in (("near", 0.0), ("far", link)):
                print(f"{scripts} scripts, {length * 1000:.0f} ms:")
                results[key] = contest(server, work / key, scripts=scripts, link=length)
            results["commands"] = {
                key: startup.commands(
                    server, work / f"{key}-start", scripts=scripts, link=length, repeats=repeats
                )
                for key, length in (("near", 0.0), ("far", link))
            }
            print(f"commands: {results['commands']}")
            results["imports"] = startup.imports(repeats)
            print(f"imports: {results['imports']}\nscale:")
            results["scale"] = scale.measure(
                server,
                work / "scale",
                scripts=2_000 if quick else 10_000,
                megabytes=5 if quick else 200,
                rows=200_000 if quick else 2_000_000,
                databases=20 if quick else 100,
            )
            return results
    finally:
        shutil.rmtree(work)


def _machine() -> str:
    """The machine in general words: nothing that names it."""
    system = f"{platform.system()} on {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
