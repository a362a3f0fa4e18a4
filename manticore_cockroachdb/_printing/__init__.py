"""A live schema as text: read from the catalogs, ordered so that it can be run again, compared by object.

Reading is in `async_reading`; every other module is pure. Imports nothing that runs scripts.
"""
