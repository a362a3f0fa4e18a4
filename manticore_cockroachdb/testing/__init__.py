"""A server for tests and demos: yours if you name one, else one that starts and ends with you.

    from manticore_cockroachdb.testing import server

    with server() as running:
        print(running.description)
        url = running.new_database()

Whatever was started is gone afterwards, with its files, also when this process is killed.
"""

from manticore_cockroachdb.testing.programs import Choice, Source, choose
from manticore_cockroachdb.testing.running import RunningServer, server

__all__ = ["Choice", "RunningServer", "Source", "choose", "server"]
