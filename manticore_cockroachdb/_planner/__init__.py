"""Decisions: which steps to run, how to cut a script, what happened to a statement.

Pure functions of values, tested by tables without a server. Must not send, read or wait.
"""
