"""The state machine can fail: it catches each fault planted in the ledger.

A fault is a replacement in the Lua text that must apply exactly once. The mutated library runs on a Valkey of
its own (functions are server-wide). Only a broken promise counts as caught: that a library is broken as a
program proves nothing. Every push replays the sequence that is recorded for a fault; `make thorough` lets the
machine find it again, in a bounded number of examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from kelery.errors import LedgerError
from kelery.ledger.library import SOURCE
from kelery.ledger.sync_client import connect
from kelery_dev.stack.valkey import ValkeyServer
from tests.contract.ledger.ledger_facts import BrokenPromise
from tests.contract.ledger.ledger_machine import machine_for
from tests.contract.ledger.planted_faults import claims, endings, messages, register, slots
from tests.contract.ledger.planted_faults.fault import Fault, keyed, replay

#: The first failing example ends the search. A shorter example is not needed.
SEARCH = settings(
    max_examples=800,
    stateful_step_count=40,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
SEED = 3
FAULTS = [*claims.FAULTS, *slots.FAULTS, *messages.FAULTS, *endings.FAULTS, *register.FAULTS]

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what.replace(" ", "-"))


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    """A Valkey for mutated libraries only."""
    with (
        ValkeyServer() as server,
        connect(server.url, timeout_seconds=10, client_name="planted-faults") as client,
    ):
        yield client


@contextmanager
def loaded(client: redis.Redis, source: str) -> Iterator[None]:
    """The server runs the library `source`, from the beginning to the end."""
    client.flushall()
    client.function_flush()
    client.function_load(source, replace=True)
    try:
        yield
    finally:
        (library,) = client.function_list(withcode=True)
        assert source in library, "another library was loaded in the meantime"


def search(client: redis.Redis, source: str, *, how: settings = SEARCH) -> None:
    """Run the machine on the library `source`."""
    with loaded(client, source):
        run_state_machine_as_test(seed(SEED)(machine_for(client, source=source)), settings=how)


@each_fault
def test_the_state_machine_catches_a_planted_fault(client: redis.Redis, fault: Fault) -> None:
    with loaded(client, fault.source()), pytest.raises(BrokenPromise):
        replay(client, fault.caught_by, source=fault.source())
    # The fault broke a promise. Without the fault, the sequence breaks none.
    with loaded(client, SOURCE):
        replay(client, fault.caught_by)


@pytest.mark.thorough
@each_fault
def test_the_state_machine_finds_a_planted_fault_by_itself(client: redis.Redis, fault: Fault) -> None:
    with pytest.raises(BrokenPromise):
        search(client, fault.source())


@pytest.mark.thorough
def test_the_same_search_finds_nothing_in_the_ledger_as_it_is(client: redis.Redis) -> None:
    search(client, SOURCE, how=settings(SEARCH, max_examples=60))


def test_a_library_that_is_broken_as_a_program_is_not_taken_for_a_fault_that_was_caught(
    client: redis.Redis,
) -> None:
    broken = Fault(
        what="no Lua at all",
        original="local function granted(run)\n",
        planted="local function granted(run)\n  nothing()\n",
        caught_by=[
            lambda ledger: ledger.submit_rival(spec=keyed()),
            lambda ledger: ledger.claim_all_that_are_admitted(worker="w1", nonce="n1"),
        ],
    )
    with loaded(client, broken.source()), pytest.raises(LedgerError, match="nothing"):
        replay(client, broken.caught_by, source=broken.source())
