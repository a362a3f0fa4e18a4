"""Database URLs: whatever is wrong with one, nothing of its password is shown."""

from __future__ import annotations

import traceback

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from manticore_cockroachdb.errors import SettingsError
from manticore_cockroachdb.types import ConnectionSettings

MARKER = "hunter2Zq"
AROUND = st.text('ab/@:?#%=&, []"\\é', max_size=4)
PASSWORDS = st.builds("{}{}{}".format, AROUND, st.just(MARKER), AROUND)
FORMS = st.sampled_from(
    [
        "postgresql://u:{}@h/db",
        "postgresql://u:{}",
        "postgresql://u:{}/db",
        "postgresql://:{}@/db",
        "postgres://u:{}@h:5432/db?sslmode=require",
        "cockroachdb://u:{}@h1,h2:26257/db",
        "postgresql://u:{}@h:port/db",
        "postgresql://u:{}@[::1/db",
        "postgresql://u:{}@h/db?no_such_option=1",
        "postgresql://u:{}@h/db?sslmode",
        "postgresql://u:%zz{}@h/db",
        "postgresql://u:%e9{}@h/db",
        "postgresql://h/db?user=u&password={}",
        "postgresql://h/db?user=u&password={}&port=x",
        "mysql://u:{}@h/db",
        "u:{}@h://db",
        "u:{}@h/db",
        "//u:{}@h/db",
    ]
)


@given(form=FORMS, password=PASSWORDS)
@settings(max_examples=1000, deadline=None)
def test_no_url_shows_its_password(form: str, password: str) -> None:
    # Without a host, these characters make the rest a host or a database.
    assume("@" in form or not set("@/?#,") & set(password))
    url = form.format(password)
    try:
        read = ConnectionSettings.from_url(url)
        shown = f"{read!r} {read.place}"
    except SettingsError as error:
        shown = "".join(traceback.format_exception_only(error)) + repr(error.__cause__)
    assert MARKER not in shown
