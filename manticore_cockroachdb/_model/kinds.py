"""Words for kinds of objects, as CREATE, ALTER and DROP write them."""

from __future__ import annotations

from typing import Final

from .._sql.tokens import word_set

TEMPORARY: Final = frozenset(("TEMP", "TEMPORARY", "LOCAL", "GLOBAL"))
ROUTINES: Final = frozenset(("FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE"))
#: Kinds of objects that are known and not modeled.
UNMODELLED: Final = word_set(
    "ACCESS AGGREGATE CAST COLLATION CONVERSION DATABASE DEFAULT EVENT EXTERNAL FOREIGN GROUP "
    "LANGUAGE OPERATOR POLICY PUBLICATION ROLE RULE SERVER STATISTICS SUBSCRIPTION TABLESPACE "
    "TEXT TRANSFORM USER CHANGEFEED SCHEDULE RANGE PARTITION SYSTEM BACKUP PROCEDURAL LARGE "
    "TENANT VIRTUAL EXTENSION"
)
