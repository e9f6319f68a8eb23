"""The ledger alone, without worker and APIs: its calls against empty calls, and many keys against one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kelery_bench.case import Case
from kelery_bench.loads.ledger_cycles import LedgerCycles, RoundTrips
from kelery_bench.loads.ledger_runs import ledger_runs
from kelery_bench.local_stack import LocalStack
from kelery_bench.size import Size
from kelery_dev.stack.valkey import ValkeyServer


@contextmanager
def cases(stack: LocalStack, *, size: Size) -> Iterator[list[Case]]:
    """The cases, on their own Valkey, which nothing else calls."""
    del stack
    live = size.pick(quick=2000, full=10_000)
    count = size.pick(quick=300, full=2000)
    rounds = size.pick(quick=3, full=7)
    with ValkeyServer() as valkey, ledger_runs(valkey.url) as runs:
        one_key = LedgerCycles(runs, keys=1, live=live)
        many_keys = LedgerCycles(runs, keys=live, live=live)
        bare = RoundTrips(runs)
        yield [
            Case(
                name="ledger",
                title=f"ledger: submit + claim + settle, one key with {live:,} waiting",
                reference="the same number of calls with the same arguments to a function that does nothing,"
                " same client",
                unit="cycles/s",
                ours=lambda: {"rate": one_key.rate(count)},
                theirs=lambda: {"rate": bare.rate(count)},
                rounds=rounds,
            ),
            Case(
                name="ledger-keys",
                title=f"ledger: the same, {live:,} keys",
                reference=f"the same, one key with {live:,} waiting",
                unit="cycles/s",
                ours=lambda: {"rate": many_keys.rate(count)},
                theirs=lambda: {"rate": one_key.rate(count)},
                rounds=rounds,
            ),
        ]
