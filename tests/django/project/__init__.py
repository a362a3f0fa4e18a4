"""A Django project as small as one can be, for the tests of the app."""
