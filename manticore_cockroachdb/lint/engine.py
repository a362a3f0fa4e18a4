"""Linting: scripts are folded in their order, and those that are new are judged on the way. Pure.

For each server: a script begins with the schema the ones before it left. Each of its statements is
read, folded into a fork of the schema, and shown to the rules for its kind, with the schema before
and after. Then the down section is folded, only to see what it leaves.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from .._model.commands import (
    AddEnumValue,
    Command,
    CreateTable,
    CreateView,
    Opaque,
    Rename,
    SetSchema,
    SetVariable,
    Truncate,
    Unknown,
    Write,
)
from .._model.folding import begin_script, fold
from .._model.reading import read
from .._model.schema import Key, Schema, Space
from .._scripts.script import MigrationScript, ScriptKey
from .._sql.lexer import SplitText, split
from .._sql.server_kind import ServerKind
from ..errors import FilesRefused, Problem
from .allowance import Allowance, read_allowances
from .configuration import Configuration, configure
from .finding import Finding, NotUnderstood, Report, Severity
from .locks import table_locks
from .options import OPTIONS, read_options
from .rule import Read, Remark, Rule, Script, Step
from .rules import RULES
from .rules.allowances import UNKNOWN, UNUSED, WITHOUT_REASON
from .target import Target


def lint(
    scripts: Iterable[MigrationScript],
    *,
    server: str | Target | Sequence[str | Target] = "cockroachdb",
    only: Container[ScriptKey] | None = None,
    rules: Mapping[str, str] | None = None,
    severity: str = Severity.NOTE.value,
    lock_timeout: float | None = None,
) -> Report:
    """Judge scripts before they run.

    Args:
    scripts: Every script, by version: also those that are applied, so that what they made is known.
    server: The server they are for, such as `cockroachdb:25.4`; or several.
    only: The scripts to judge, by version or a repeatable script's name; None judges all.
    rules: How a rule is reported: "error", "warning", "note" or "off", by its id.
    severity: The lowest severity to report: "error", "warning" or "note".
    lock_timeout: Seconds that every run lets a statement wait for a lock at most; None: no limit.

    Returns:
    The findings, and how much was understood.

    Raises:
    SettingsError: A server, a rule or a severity is not known.
    FilesRefused: A script cannot be split into statements.
    """
    chosen = configure(server, rules, severity, lock_timeout)
    return lint_configured(tuple(scripts), chosen, only)


def lint_configured(
    scripts: Sequence[MigrationScript],
    configuration: Configuration,
    only: Container[ScriptKey] | None = None,
) -> Report:
    """Judge scripts with choices that are read already; see `lint`."""
    runs = [_Run(target, configuration, only).run(scripts) for target in configuration.targets]
    unknown = dict.fromkeys(one for run in runs for one in run.not_understood)
    return Report(
        findings=_merged([finding for run in runs for finding in run.findings], scripts),
        scripts=runs[0].scripts,
        statements=runs[0].statements,
        not_understood=tuple(unknown),
        servers=tuple(map(str, configuration.targets)),
    )


def _merged(findings: Iterable[Finding], scripts: Sequence[MigrationScript]) -> tuple[Finding, ...]:
    """Findings that several servers share become one; by script and line, the worst first."""
    found: dict[tuple[str, Path, int, str], Finding] = {}
    for finding in findings:
        key = (finding.rule, finding.path, finding.line, finding.message)
        there = found.get(key)
        servers = (*there.servers, *finding.servers) if there is not None else finding.servers
        found[key] = replace(finding, servers=tuple(dict.fromkeys(servers)))
    order = {script.path: index for index, script in enumerate(scripts)}
    return tuple(
        sorted(
            found.values(),
            key=lambda one: (order[one.path], one.line, one.severity.rank, one.rule),
        )
    )


class _Run:
    """One pass over the scripts for one server."""

    def __init__(
        self, target: Target, configuration: Configuration, only: Container[ScriptKey] | None
    ) -> None:
        self._target = target
        self._configuration = configuration
        self._only = only
        self._schema = Schema(target.kind)
        self._severities: dict[str, Severity] = {}
        self._by_command: dict[type[Command], list[Rule]] = defaultdict(list)
        self._of_scripts: list[Rule] = []
        for rule in RULES.values():
            level = configuration.severity(rule)
            if level is None or not rule.applies(target):
                continue
            self._severities[rule.id] = level
            for command in rule.commands:
                self._by_command[command].append(rule)
            if not rule.commands:
                self._of_scripts.append(rule)
        self.findings: list[Finding] = []
        self.not_understood: list[NotUnderstood] = []
        self.scripts = self.statements = 0

    def run(self, scripts: Sequence[MigrationScript]) -> _Run:
        for script in scripts:
            # A checkpoint is what a server printed: it is only there to be known.
            chosen = self._only is None or script.key in self._only
            if chosen and script.checkpoint is None:
                self._judge(script)
            else:
                self._fold(script)
        return self

    def _fold(self, script: MigrationScript) -> None:
        """A script that is only there to be known."""
        schema = self._schema
        begin_script(schema)
        for raw in _split(script, script.up_sql, script.up_line).up:
            fold(read(raw.text, self._target.kind), schema)

    def _judge(self, script: MigrationScript) -> None:
        found = _split(script, script.up_sql, script.up_line)
        reads = tuple(_reads(found, self._target.kind))
        allowances = _allowances(found, reads)
        before = self._schema
        judged = Script(script, self._target, reads, before)
        judged.targets = self._configuration.targets
        judged.lock_timeout = self._configuration.lock_timeout
        judged.options = read_options(found.comments, [one.line for one in reads])
        schema = before.fork()
        begin_script(schema)
        for index, one in enumerate(reads):
            fork = schema.fork()
            faults = fold(one.command, fork)
            step = Step(judged, index, schema, fork, faults)
            for rule in self._by_command.get(type(one.command), ()):
                for remark in rule.judge(step):
                    self._found(rule, script, remark, one.line, allowances, index)
            if isinstance(one.command, Unknown | Opaque):
                self.not_understood.append(NotUnderstood(script.path, one.line, one.command.words))
            if self._target.kind is ServerKind.POSTGRESQL:
                judged.locks += [
                    (one, lock)
                    for lock in table_locks(one.command, schema)
                    if not step.is_new(lock.table)
                ]
            _note(judged, one, schema, fork)
            schema.absorb(fork)
        judged.after = schema
        self._revert(judged)
        first = reads[0].line if reads else script.up_line
        for rule in self._of_scripts:
            for remark in rule.judge(judged):
                self._found(rule, script, remark, first, allowances, None)
        self._judge_allowances(script, allowances)
        before.absorb(schema)
        self.scripts += 1
        self.statements += len(reads)

    def _revert(self, judged: Script) -> None:
        """Fold the down section over the schema after the up section, to see what it leaves."""
        script = judged.script
        if script.down_sql is None or judged.after is None:
            return
        found = _split(script, script.down_sql, script.down_line)
        judged.down = tuple(_reads(found, self._target.kind))
        judged.reverted = judged.after.fork()
        begin_script(judged.reverted)
        for one in judged.down:
            fold(one.command, judged.reverted)

    def _found(
        self,
        rule: Rule,
        script: MigrationScript,
        remark: Remark,
        line: int,
        allowances: Sequence[Allowance],
        statement: int | None,
    ) -> None:
        """Report a remark, unless an allowance accepts it."""
        accepted = False
        for allowance in allowances:
            mine = statement is None or allowance.statement == statement
            if allowance.rule == rule.id and mine:
                allowance.used = accepted = True
        if not accepted:
            self._report(rule, script, remark, line)

    def _report(self, rule: Rule, script: MigrationScript, remark: Remark, line: int) -> None:
        severity = self._severities[rule.id]
        if remark.most is not None and severity.rank < remark.most.rank:
            severity = remark.most
        if severity.rank > self._configuration.least.rank:
            return
        self.findings.append(
            Finding(
                rule=rule.id,
                severity=severity,
                message=remark.message,
                safer=remark.safer,
                path=script.path,
                line=remark.line or line,
                version=script.version,
                source=rule.source,
                servers=(str(self._target),),
                subject=remark.subject,
            )
        )

    def _judge_allowances(self, script: MigrationScript, allowances: Sequence[Allowance]) -> None:
        """Report allowances that nothing needed, that name no rule, or that give no reason."""
        for allowance in allowances:
            if allowance.rule not in RULES:
                self._own(UNKNOWN, script, f"There is no rule {allowance.rule!r}.", allowance)
            elif not allowance.reason:
                self._own(
                    WITHOUT_REASON,
                    script,
                    f"Write why {allowance.rule} is accepted here: allow={allowance.rule} "
                    "<reason>.",
                    allowance,
                )
            elif not allowance.used and allowance.rule in self._severities:
                self._own(
                    UNUSED,
                    script,
                    f"Nothing needs this allowance of {allowance.rule}; remove it.",
                    allowance,
                )

    def _own(self, rule: str, script: MigrationScript, message: str, allowance: Allowance) -> None:
        if rule in self._severities:
            self._report(RULES[rule], script, Remark(message), allowance.line)


_NAME: Final = re.compile("manticore", re.IGNORECASE)


def _split(script: MigrationScript, text: str, line: int) -> SplitText:
    found = split(text, line, OPTIONS if _NAME.search(text) else None)
    if found.fault is not None:
        problem = Problem(
            found.fault.message, script.path, found.fault.line, script.version or None
        )
        raise FilesRefused("Nothing was run", [problem])
    return found


def _reads(found: SplitText, kind: ServerKind) -> Iterable[Read]:
    for raw in found.up:
        yield Read(raw.text, raw.line, read(raw.text, kind))


def _allowances(found: SplitText, reads: Sequence[Read]) -> list[Allowance]:
    if not found.comments:
        return []
    lines = [(one.line, one.line + one.text.count("\n")) for one in reads]
    return read_allowances(found.comments, lines)


def _note(judged: Script, one: Read, before: Schema, schema: Schema) -> None:
    """Remember of a statement what rules ask of the ones before them.

    Args:
        judged: The script.
        one: The statement.
        before: The schema before it.
        schema: The schema after it.
    """
    match one.command:
        case CreateTable() | CreateView() as made:
            key = schema.key_to_make(Space.RELATION, made.name)
            if before.get(key) is None:
                judged.made.add(key)
                if made.temporary:
                    judged.made.add(Key(key.space, "public", key.name))
        case Rename(what="TABLE") | SetSchema(what="TABLE") as moved:
            old = before.key(Space.RELATION, moved.name)
            name = moved.new if isinstance(moved, Rename) else old.name
            where = moved.schema if isinstance(moved, SetSchema) else old.schema
            new = Key(old.space, where, name)
            judged.made.discard(new)
            if old in judged.made:
                judged.made.discard(old)
                judged.made.add(new)
        case Truncate(tables=tables):
            judged.emptied.update(schema.key(Space.RELATION, name) for name in tables)
        case Write(verb="DELETE", where=None, limited=False, table=name):
            judged.emptied.add(schema.key(Space.RELATION, name))
        case AddEnumValue(name=name):
            if judged.before.type(name) is not None or schema.type(name) is None:
                judged.enum_values.append(one)
        case SetVariable(name=variable, values=values):
            judged.variables[variable] = values
        case _:
            pass
