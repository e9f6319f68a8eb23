"""The ledger keeps its promises under any sequence of calls: Hypothesis drives the real one, on Valkey."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from kelery.ledger.sync_client import connect
from tests.contract.ledger.ledger_machine import machine_for

SEARCH = settings(
    max_examples=150,
    stateful_step_count=40,
    derandomize=False,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    # Without the explaining phase, which costs minutes with a real server in the path.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    # The speed of the server does not depend on the strategies.
    suppress_health_check=[HealthCheck.too_slow],
)
LONG_SEARCH = settings(SEARCH, max_examples=5000, stateful_step_count=60)


@pytest.mark.parametrize(
    "search",
    [
        # Hypothesis may take five minutes to make a failing example short, and it is worth having.
        pytest.param(SEARCH, marks=pytest.mark.timeout(600), id="short"),
        pytest.param(LONG_SEARCH, marks=[pytest.mark.thorough, pytest.mark.timeout(3600)], id="long"),
    ],
)
def test_the_ledger_keeps_its_promises_in_any_sequence_of_calls(valkey_url: str, search: settings) -> None:
    with connect(valkey_url, timeout_seconds=10, client_name="state-machine") as client:
        run_state_machine_as_test(machine_for(client), settings=search)
