"""Submissions from requests: idempotency and retention."""

from __future__ import annotations

from kelery.ledger.types import Submission
from kelery.run.model import RunSpec
from kelery.settings import LedgerSettings
from kelery_api.access.requester import Requester
from kelery_api.runs import submissions

ANN, BOB = Requester(name="ann"), Requester(name="bob")


def submission(spec: RunSpec, *, name: str | None = None) -> Submission:
    return submissions.submission(
        spec,
        uid="u",
        namespace="team",
        name=name,
        requester=ANN,
        settings=LedgerSettings(redis_url="redis://127.0.0.1:1"),
        retain_seconds=500,
    )


def uid(*, namespace: str = "team", requester: Requester = ANN, key: str | None = "k") -> str:
    return submissions.new_uid(namespace=namespace, requester=requester, idempotency_key=key)


def test_an_idempotency_key_is_one_run_of_one_requester_in_one_namespace() -> None:
    assert uid() == uid()
    assert len({uid(), uid(namespace="other"), uid(requester=BOB), uid(key="l")}) == 4
    assert uid(namespace='team","ann') != uid(requester=Requester(name='ann","ann'))


def test_without_an_idempotency_key_every_request_is_a_new_run() -> None:
    assert uid(key=None) != uid(key=None)


def test_a_ttl_overrides_the_gateways_retention() -> None:
    assert submission(RunSpec(task="t")).retain_seconds == 500
    assert submission(RunSpec(task="t", ttl_seconds_after_finished=60)).retain_seconds == 60


def test_a_client_that_waits_for_a_run_with_a_ttl_of_zero_finds_its_end() -> None:
    # Timers of other processes can act at any moment, also between the end and the client's read.
    kept = submission(RunSpec(task="t", ttl_seconds_after_finished=0)).retain_seconds
    assert kept is not None
    assert kept >= 5


def test_a_repeated_request_must_be_equal_in_everything() -> None:
    asked = [
        submission(RunSpec(task="t")),
        submission(RunSpec(task="t"), name="report"),
        submission(RunSpec(task="t", ttl_seconds_after_finished=1)),
        submission(RunSpec(task="t", args=(1,))),
    ]
    assert len({one.spec_hash for one in asked}) == len(asked)
