"""Schemas rehearsed, cut, and compared with their scripts."""
