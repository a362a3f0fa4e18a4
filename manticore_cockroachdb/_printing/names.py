"""Rows of catalogs, and names as SQL writes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._sql.tokens import quoted

Row = Mapping[str, Any]


#: A name, quoted.
identifier = quoted
