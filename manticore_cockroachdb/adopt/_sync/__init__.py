"""What moving in asks and writes on a server, generated from `_async`; do not edit."""
