"""The files in docs/examples: they parse, their commands exist, and what can be run here is run."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from manticore_cockroachdb import Database
from manticore_cockroachdb.testing import RunningServer
from tests import older_cockroachdb
from tests.docs.docs_pages import DOCS, code, read, rows, sections
from tests.waiting import PATIENCE

EXAMPLES = DOCS / "examples"
FILES = sorted(path.name for path in EXAMPLES.iterdir())


def example(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def documents(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(example(name))
    return loaded


def commands(text: str) -> Iterator[list[str]]:
    """Every `manage.py manticore_…` of a file, as a shell or a list of strings has it."""
    flat = re.sub(r"\n\s*- ", " ", text).replace('", "', " ").replace('["', " ").replace('"]', " ")
    for line in re.findall(r"manage\.py (manticore_.*)", flat):
        words = shlex.split(re.sub(r"\$\{[^}]*\}|\"\$\{[^}]*\}\"", "60", line.partition(" > ")[0]))
        kept = []
        for word in words:
            if word.endswith(":") or word.startswith(("#", "$")):
                break
            kept.append(word)
        yield kept


def test_every_example_is_linked_from_the_deploying_page_and_no_other() -> None:
    linked = re.findall(r"\]\(examples/([^)]+)\)", read("deploying.md"))

    assert sorted(set(linked)) == FILES


@pytest.mark.parametrize(
    "name", [name for name in FILES if not name.startswith(("Dockerfile", "shop.service"))]
)
def test_every_command_of_an_example_has_these_options(name: str) -> None:
    found = list(commands(example(name)))

    assert found
    for command, *arguments in found:
        parser = load_command_class("django_manticore", command).create_parser("manage.py", command)
        parser.parse_args(arguments)  # or SystemExit, or CommandError


@pytest.mark.parametrize(
    ("name", "jobs"),
    [("github-actions.yml", ("check", "migrate")), ("gitlab-ci.yml", ("check", "migrate"))],
)
def test_pipelines_lint_then_rehearse_then_migrate(name: str, jobs: tuple[str, str]) -> None:
    loaded = documents(name)
    loaded = loaded.get("jobs", loaded)

    ran = [re.findall(r"manage\.py (manticore_\w+)", yaml.safe_dump(loaded[job])) for job in jobs]

    assert ran == [["manticore_lint", "manticore_rehearse"], ["manticore_migrate"]]


def test_pipelines_never_cancel_a_migration() -> None:
    github = documents("github-actions.yml")["jobs"]["migrate"]
    gitlab = documents("gitlab-ci.yml")["migrate"]

    assert github["concurrency"]["cancel-in-progress"] is False
    assert github["needs"] == "check"
    assert gitlab["interruptible"] is False
    assert gitlab["resource_group"]


def test_a_pod_waits_for_another_runner_no_longer_than_kubernetes_waits_for_it() -> None:
    spec = documents("kubernetes-init-container.yaml")["spec"]
    (container,) = spec["template"]["spec"]["initContainers"]
    (site,) = spec["template"]["spec"]["containers"]

    (waits,) = [each for each in container["command"] if each.startswith("--lock-timeout=")]
    assert int(waits.partition("=")[2]) <= spec["progressDeadlineSeconds"]
    assert spec["replicas"] == 5
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert container["image"] == site["image"]
    assert container["envFrom"] != site["envFrom"], "the site must not run as the migrator"


def test_the_kubernetes_job_gives_a_run_time_to_stop() -> None:
    job = documents("kubernetes-job.yaml")
    pod = job["spec"]["template"]["spec"]

    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60


def test_the_image_starts_by_the_entrypoint_of_the_example() -> None:
    instructions = dict(
        line.split(" ", 1)
        for line in example("Dockerfile").splitlines()
        if re.match(r"[A-Z]+ ", line)
    )

    assert instructions["ENTRYPOINT"] == '["./docker-entrypoint.sh"]'
    assert os.access(EXAMPLES / "docker-entrypoint.sh", os.X_OK)
    assert instructions["USER"] == "app"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(example(name))
    return parser


def test_systemd_repeats_only_what_can_succeed_the_next_time() -> None:
    codes = {int(cells[0]) for cells in rows(sections(read("commands.md"))["Exit codes"])}
    service = unit("shop-migrate.service")["Service"]

    prevented = set(map(int, service["RestartPreventExitStatus"].split()))

    assert prevented == {2, 4, 5}
    assert prevented <= codes
    assert service["Type"] == "oneshot"
    assert unit("shop.service")["Unit"]["Requires"] == "shop-migrate.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, EXAMPLES.glob("*.service"))],
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    # The programs are where the reader's site is, and not here.
    complaints = [
        line
        for line in done.stderr.splitlines()
        if "shop" in line and "is not executable" not in line
    ]
    assert complaints == []


# -- the entrypoint, run -------------------------------------------------------------------------


@pytest.fixture
def container(tmp_path: Path, server: RunningServer, database_url: str) -> dict[str, str]:
    """A folder as the image has it; the environment of its programs."""
    (tmp_path / "manage.py").write_text(
        "import sys\nfrom django.core.management import execute_from_command_line\n"
        "execute_from_command_line(sys.argv)\n"
    )
    scripts = tmp_path / "migrations_sql"
    scripts.mkdir()
    (scripts / "V1__t.sql").write_text("CREATE TABLE t (i INT8);\nINSERT INTO t VALUES (1);")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    names = {"DJANGO_SETTINGS_MODULE": "tests.django.project.settings"}
    engine = "django.db.backends.postgresql"
    if server.kind == "cockroachdb":
        names = older_cockroachdb.environment("tests.django.project.settings")
        engine = "django_cockroachdb"
    path = os.pathsep.join(
        filter(None, [str(DOCS.parent), os.environ.get("PYTHONPATH"), *sys.path[1:]])
    )
    return {
        **os.environ,
        **names,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": path,
        "TESTS_DJANGO_ENGINE": engine,
        "TESTS_DJANGO_URL": database_url,
        "TESTS_DJANGO_FOLDER": str(scripts),
    }


def start(folder: Path, environment: dict[str, str], *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(EXAMPLES / "docker-entrypoint.sh"), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_five_containers_start_at_once_and_one_of_them_migrates(
    tmp_path: Path, container: dict[str, str], database_url: str
) -> None:
    replicas = [start(tmp_path, container, "echo", "the site starts") for _ in range(5)]
    outputs = [replica.communicate(timeout=PATIENCE)[0] for replica in replicas]

    assert [replica.returncode for replica in replicas] == [0] * 5, outputs
    assert all(output.endswith("the site starts\n") for output in outputs)
    assert sum("Applying V1__t... OK" in output for output in outputs) == 1
    with Database.from_url(database_url) as db:
        assert db.execute("SELECT count(*) AS number FROM t") == [{"number": 1}]


def test_the_site_does_not_start_after_a_migration_that_failed(
    tmp_path: Path, container: dict[str, str]
) -> None:
    (tmp_path / "migrations_sql" / "V2__bad.sql").write_text("SELECT nothing FROM nowhere;")

    replica = start(tmp_path, container, "echo", "the site starts")
    output, _ = replica.communicate(timeout=PATIENCE)

    assert replica.returncode == 4
    assert "the site starts" not in output


def test_a_container_can_start_without_migrating(tmp_path: Path, container: dict[str, str]) -> None:
    replica = start(tmp_path, {**container, "MIGRATE_AT_START": "0"}, "echo", "the site starts")

    assert replica.communicate(timeout=PATIENCE)[0] == "the site starts\n"


def test_documented_exit_codes_are_those_of_the_pipelines_examples() -> None:
    documented = {cells[0] for cells in rows(sections(read("commands.md"))["Exit codes"])}
    deploying = {cells[0] for cells in rows(sections(read("deploying.md"))["Use the exit code"])}

    assert deploying <= documented
    assert code(read("deploying.md"))
