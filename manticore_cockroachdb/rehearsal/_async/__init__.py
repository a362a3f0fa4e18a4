"""What a rehearsal sends and reads, written by hand; `_sync` is generated from it."""
