"""Whatever dies in the middle: the same command again ends in the right schema."""
