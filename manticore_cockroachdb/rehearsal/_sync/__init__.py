"""The executor for synchronous callers, generated from `_async`; do not edit."""
