"""The real ledger on the session's Valkey, emptied for each test."""

from collections.abc import Iterator

import pytest
import redis

from kelery.ledger import sync_client
from tests.support.ledger_bench import Bench


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """The test's own connection."""
    with sync_client.connect(valkey_url, timeout_seconds=10, client_name="ledger-tests") as client:
        yield client


@pytest.fixture
def bench(client: redis.Redis) -> Bench:
    """The ledger with short calls for tests."""
    return Bench(sync_client.Ledger(client, prefix="kelery"))
