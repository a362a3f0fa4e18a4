"""Moving in from another migration tool: its files become ours, its ledger fills ours.

    from manticore_cockroachdb import Database
    from manticore_cockroachdb.adopt import Adoption

    adoption = Adoption(Database.from_url(url), "db/migrations", "migrations_sql")
    print(adoption.plan().findings)
    adoption.apply()

Other tools' files are read in `tools`, a module for each; conversion and comparison are pure. The disk is
touched in `disk` alone, a server in `adoption`, `leaving` and `_sync`. `Export` writes another tool's
files. This package imports from every package below, and none of them knows it.
"""

from .adoption import Adoption
from .async_adoption import AsyncAdoption
from .async_leaving import AsyncExport
from .conversion import Converted, FileState
from .export import EXPORTS, ExportPlan
from .leaving import Export
from .plan import AdoptionPlan
from .proof import Proof
from .table import TOOLS
from .values import Finding, Guard, Remark, Trouble, Undone

__all__ = [
    "EXPORTS",
    "TOOLS",
    "Adoption",
    "AdoptionPlan",
    "AsyncAdoption",
    "AsyncExport",
    "Converted",
    "Export",
    "ExportPlan",
    "FileState",
    "Finding",
    "Guard",
    "Proof",
    "Remark",
    "Trouble",
    "Undone",
]
