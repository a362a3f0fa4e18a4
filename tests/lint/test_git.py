"""Which scripts are new, by a real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from manticore_cockroachdb.errors import GitFailed
from manticore_cockroachdb.lint.git import changed_files, top_of
from manticore_cockroachdb.lint.scope import keys_of
from tests.lint.scripts import script


class Repository:
    def __init__(self, top: Path) -> None:
        self.top = top
        self.folder = top / "sql"
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.email", "a@example.org")
        self.git("config", "user.name", "A")

    def git(self, *arguments: str) -> None:
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        subprocess.run(
            ["git", "-C", str(self.top), *arguments],
            check=True,
            capture_output=True,
            env=environment,
        )

    def write(self, name: str, text: str = "SELECT 1") -> None:
        (self.folder / name).write_text(text, "utf-8")

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")

    def new(self, since: str | None = None) -> set[str]:
        return {path.name for path in changed_files([self.folder], since)}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "a repository")
    made.write("V1__old.sql")
    made.commit()
    return made


def test_on_a_branch_everything_since_it_began_is_new(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "feature")
    repository.write("V2__committed.sql")
    repository.commit()
    repository.write("V3__staged.sql")
    repository.git("add", "--all")
    repository.write("V4__not_yet ü.sql")
    repository.write("V1__old.sql", "SELECT 2")

    assert repository.new() == {
        "V1__old.sql",
        "V2__committed.sql",
        "V3__staged.sql",
        "V4__not_yet ü.sql",
    }


def test_what_others_put_into_the_main_branch_meanwhile_is_not_new_here(
    repository: Repository,
) -> None:
    repository.git("checkout", "--quiet", "-b", "feature")
    repository.write("V2__mine.sql")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.write("V2__theirs.sql")
    repository.commit()
    repository.git("checkout", "--quiet", "feature")

    assert repository.new() == {"V2__mine.sql"}
    assert repository.new("main") == {"V2__mine.sql"}


def test_since_a_revision(repository: Repository) -> None:
    repository.write("V2__b.sql")
    repository.commit()
    repository.git("tag", "release")
    repository.write("V3__c.sql")
    repository.commit()

    assert repository.new("release") == {"V3__c.sql"}
    assert repository.new("HEAD") == set()
    assert repository.new("HEAD~2") == {"V2__b.sql", "V3__c.sql"}


def test_a_renamed_script_is_new_and_a_deleted_one_is_not_there(repository: Repository) -> None:
    (repository.folder / "V1__old.sql").rename(repository.folder / "V2__old.sql")

    assert repository.new("HEAD") == {"V2__old.sql"}


def test_files_outside_the_folder_are_left_out(repository: Repository) -> None:
    (repository.top / "other.sql").write_text("SELECT 1", "utf-8")
    repository.write("V2__b.sql")

    assert repository.new("HEAD") == {"V2__b.sql"}


def test_in_a_repository_without_a_commit_every_file_is_new(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "empty")
    repository.write("V1__a.sql")

    assert repository.new() == {"V1__a.sql"}


def test_a_folder_that_is_not_there_has_nothing_new(tmp_path: Path) -> None:
    assert changed_files([tmp_path / "nowhere"]) == frozenset()


@pytest.mark.parametrize("revision", ["nowhere", "--output=/tmp/x", ""])
def test_a_revision_that_git_does_not_know_is_refused(
    repository: Repository, revision: str
) -> None:
    with pytest.raises(GitFailed) as refused:
        repository.new(revision)

    assert str(refused.value) == (
        f"git does not know the revision {revision!r} in {repository.folder}. Name a branch, a tag or a "
        "commit; in a pipeline, fetch it first: git fetch origin main."
    )


def test_without_a_repository_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    for since in (None, "main"):
        with pytest.raises(GitFailed, match="Name the scripts another way: --all checks every"):
            changed_files([tmp_path], since)


def test_without_git_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        GitFailed, match=r"git could not be run: .* or check every script with --all"
    ):
        changed_files([tmp_path])


def test_a_script_is_new_if_one_of_its_files_is(tmp_path: Path) -> None:
    one, two = script(1, "SELECT 1"), script(2, "SELECT 2")

    assert keys_of([one, two], frozenset({two.path.resolve()})) == {2}


def test_settings_of_git_about_paths_change_nothing(repository: Repository) -> None:
    repository.git("config", "diff.relative", "true")
    repository.git("config", "diff.renames", "copies")
    repository.write("V1__old.sql", "SELECT 2")
    repository.git("add", "--all")

    assert changed_files([repository.folder], "HEAD") == {
        (repository.folder / "V1__old.sql").resolve()
    }


def test_a_renamed_script_is_new_and_a_deleted_one_is_not(repository: Repository) -> None:
    repository.write("V2__two.sql", "SELECT 2")
    repository.commit()
    repository.git("mv", "sql/V1__old.sql", "sql/V3__old.sql")
    repository.git("rm", "--quiet", "sql/V2__two.sql")

    assert repository.new("HEAD") == {"V3__old.sql"}


def test_a_repository_of_somebody_else_says_what_to_type(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)

    with pytest.raises(GitFailed) as failed:
        repository.new()

    assert "dubious ownership" in str(failed.value)
    assert "git config --global --add safe.directory" in str(failed.value)


def test_the_top_of_a_repository_is_found_from_below(
    repository: Repository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    assert top_of(repository.folder) == repository.top.resolve()
    assert top_of(outside) is None
