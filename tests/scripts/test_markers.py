"""Comments that read like another tool's down marker, and sentences that do not."""

from __future__ import annotations

import pytest

from manticore_cockroachdb._scripts.markers import reads_like_down


@pytest.mark.parametrize(
    "comment",
    [
        "-- down",
        "--Down:",
        "-- Down Migration",
        "-- +goose Down",
        "-- +migrate Down notransaction",
        "-- migrate:down",
        "-- migrate:down transaction:false",
        "-- rambler down",
        "-- +micrate Down",
        "--+some_tool down, without a transaction",
        "-- !Downs",
        "-- //@UNDO",
        "---- create above / drop below ----",
        "-- === DOWN ===",
        "-- DOWN (revert)",
        "-- Rollback",
        "-- ROLLBACK SECTION",
        "-- @down",
        "-- {{ down }}",
        "-- DOWN SQL below",
        "/* down */",
        "/*\n * DOWN\n */",
    ],
)
def test_a_marker_is_recognized(comment: str) -> None:
    assert reads_like_down(comment)


@pytest.mark.parametrize(
    "comment",
    [
        "-- down the road",
        "-- rollback: see below",
        "-- 'down'",
        '-- "Down Migration"',
        "-- `down`",
        "-- up",
        "-- countdown",
        "-- 3 + 4 down there",
        "-- a breakdown of costs",
        "-- shut down the old workers first",
        "--rollback DROP TABLE t;",
        "-- reverse lookup of hosts",
        "-- Write the SQL that reverts this migration.",
        "-- ",
        "/* what to do when the site is down */",
    ],
)
def test_a_sentence_is_left_alone(comment: str) -> None:
    assert not reads_like_down(comment)
