"""What moving in asks and writes on a server, written by hand; `_sync` is generated from it."""
