"""The schema that scripts describe: values, statements read into values, and folding. Pure.

A statement's text becomes a command (`reading`), a command changes a schema (`folding`). Nothing
here connects to a server, reads a file, or judges: judging is `lint`'s work.
"""
