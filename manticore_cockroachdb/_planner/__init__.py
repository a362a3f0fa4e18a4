"""Decisions: which steps to run, how to cut a script, what became of a statement.

Pure functions of values, tested by tables without a server. Must not send, read or wait.
"""
