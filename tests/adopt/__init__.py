"""Moving in from other tools."""
