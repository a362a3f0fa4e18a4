"""A run that dies while it applies a checkpoint is finished by the next one."""

from __future__ import annotations

import pytest

from manticore_cockroachdb.errors import ManticoreError, OutcomeUnknown
from manticore_cockroachdb.testing.proxy import Proxy, drop_after, drop_before
from tests.harness import Harness

#: What a bootstrap's transaction does not take on CockroachDB: the checkpoint then runs step by step.
STEPWISE = "CREATE VIEW seen AS SELECT id FROM t1;\nGRANT SELECT ON t1 TO PUBLIC;"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("mode", ["as it is", "step by step"])
async def test_cut_at_any_statement_it_is_finished(
    fleet: list[Harness], when: str, mode: str
) -> None:
    old, new = fleet
    if mode == "step by step":
        new.write("V3__t3", f"CREATE TABLE t3 (id INT8 PRIMARY KEY);\n{STEPWISE}")
    await new.engine().squash(3)
    (checkpoint,) = await new.engine().load_checkpoints()
    options = {"mode": "stepwise", "lease": 1.0} if mode == "step by step" else {"lease": 1.0}
    asked = 0
    for statement in checkpoint.up_statements():
        with Proxy(old.direct) as proxy:
            then = drop_before() if when == "before" else drop_after()
            rule = proxy.rule(lambda sql, text=statement.text: sql.strip() == text, then=then)
            cut = Harness(old.flavour, proxy.url, old.direct, old.folder)
            try:
                await cut.engine(**options).migrate()
            except OutcomeUnknown:
                asked += 1
            except ManticoreError:
                await old.engine(**options).migrate()
            assert rule.fired
        assert old.ledger() == [1, 2, 3, 4], statement.text
        assert not await old.engine().drift(), statement.text
        assert old.free()
        await _empty(old)
    assert asked == 0


async def _empty(harness: Harness) -> None:
    """As before the first run."""
    for view in [name for name in harness.tables() if name == "seen"]:
        harness.ask(f"DROP VIEW {view}")
    for table in harness.tables():
        harness.ask(f"DROP TABLE {table}")
