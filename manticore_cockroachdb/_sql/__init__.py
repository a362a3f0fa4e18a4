"""Text of scripts into statements: what each is and what it changes.

Knows both servers' words. Must not know files, connections or migrations.
"""
