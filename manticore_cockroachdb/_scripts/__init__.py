"""Files into scripts and back: names, folders, parsing, placeholders.

Reads and writes the disk. Must not know servers, the ledger or what has been applied.
"""
