"""What a rehearsal sends and reads, generated from `_async`; do not edit."""
