"""The commands of `manage.py`: each parses, calls one verb, prints."""
