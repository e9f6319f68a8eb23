"""What is submitted to the ledger, by the spec and the identity of a run."""

import pytest

from kelery.run.model import RunSpec
from kelery.run.phases import Reason
from kelery.settings import LedgerSettings
from kelery.taskrun.resource import Identity
from kelery.taskrun.spec import fingerprint
from kelery.taskrun.submission import submission_of, submission_of_unreadable

SETTINGS = LedgerSettings(redis_url="redis://localhost", default_queue="usual", broker_key_prefix="app:")
WHO = Identity(uid="u-1", namespace="team", name="report")


def test_a_submission_says_what_the_ledger_needs() -> None:
    spec = RunSpec(task="t", args=("ü",), ttl_seconds_after_finished=5)
    made = submission_of(spec, who=WHO, cluster="c", settings=SETTINGS)
    assert (made.uid, made.cluster, made.namespace, made.name) == ("u-1", "c", "team", "report")
    assert (made.origin, made.queue, made.queue_key) == ("TaskRun", "usual", "app:usual")
    assert (made.born_final, made.error_json, made.retain_seconds) == (None, "", None)
    assert made.spec_hash == fingerprint(spec)
    named = submission_of(RunSpec(task="t", queue="own"), who=WHO, cluster="c", settings=SETTINGS)
    assert named.queue_key == "app:own"
    reason = Reason.CANCELLED_AT_CREATE
    born = submission_of(spec, who=WHO, cluster="c", settings=SETTINGS, born_final=reason)
    assert born.born_final is Reason.CANCELLED_AT_CREATE


@pytest.mark.parametrize(("task", "recorded"), [("demo.add", "demo.add"), ("", "invalid")])
def test_an_impossible_spec_is_recorded_with_its_end_and_nothing_else(task: str, recorded: str) -> None:
    made = submission_of_unreadable(
        task=task,
        who=WHO,
        cluster="c",
        settings=SETTINGS,
        reason=Reason.SPEC_TOO_LARGE,
        message='spec.args: is "nested"',
    )
    assert made.born_final is Reason.SPEC_TOO_LARGE
    assert made.spec == RunSpec(task=recorded)
    assert (made.uid, made.namespace, made.name) == ("u-1", "team", "report")
    assert made.error_json == '{"type":"SpecTooLarge","message":"spec.args: is \\"nested\\"","traceback":""}'
