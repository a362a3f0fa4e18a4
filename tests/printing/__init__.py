"""Schemas printed, replayed and compared."""
