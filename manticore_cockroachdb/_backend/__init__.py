"""One server, as one connection meets it: settings, protocol, errors, catalogs, jobs, pauses.

Knows what to send and how to read the answer. Must not know scripts, the ledger or the lease.
"""
