"""The executor, written by hand; `_sync` beside it is generated from these modules."""
