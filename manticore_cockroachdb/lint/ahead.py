"""What later statements of the same script make of a name that a statement takes away. Pure."""

from __future__ import annotations

from .._model.actions import AddColumn, RenameColumn
from .._model.commands import AlterTable, CreateTable, CreateView, Rename
from .._model.schema import Space
from .._model.values import Name
from .rule import Step


def table_returns(step: Step, name: Name) -> bool:
    """Whether the script makes another table or view of this name after the statement."""
    key = step.before.key(Space.RELATION, name)
    for read in step.script.statements[step.index + 1 :]:
        match read.command:
            case CreateTable() | CreateView() as made:
                found = step.before.key(Space.RELATION, made.name)
            case Rename(what="TABLE" | "VIEW") as moved:
                found = step.before.key(Space.RELATION, Name(moved.name.schema, moved.new))
            case _:
                continue
        if found == key:
            return True
    return False


def column_returns(step: Step, name: Name, column: str) -> bool:
    """Whether the script makes another column of this name after the statement, or in it."""
    key = step.before.key(Space.RELATION, name)
    for read in step.script.statements[step.index :]:
        command = read.command
        if not isinstance(command, AlterTable):
            continue
        if step.before.key(Space.RELATION, command.name) != key:
            continue
        for action in command.actions:
            if isinstance(action, AddColumn) and action.definition.column.name == column:
                return True
            if isinstance(action, RenameColumn) and action.new == column:
                return True
    return False
