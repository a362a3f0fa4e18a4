"""The commands of `manage.py`: each parses its options, calls one method of the library, and prints."""
