"""Creates submissions to the ledger from requests.

Invariant: the same Idempotency-Key of the same requester in the same namespace gives the same uid. The ledger
accepts a uid once, so a repeated request returns the same run, and no gateway has to store the key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import uuid

from kelery import json_codec
from kelery.ledger.types import Submission
from kelery.run.model import RunSpec
from kelery.run.phases import Reason
from kelery.settings import LedgerSettings
from kelery.taskrun.resource import Identity
from kelery.taskrun.spec import fingerprint
from kelery.taskrun.submission import submission_of
from kelery_api.access.requester import Requester

ORIGIN = "REST"
#: Runs created over HTTP belong to no cluster, so no operator handles them.
_NO_CLUSTER = ""
#: Minimum for ttlSecondsAfterFinished, so that a waiting client still finds the run.
_LEAST_RETAIN_SECONDS = 10
_IDEMPOTENT = uuid.UUID("6f0f4e6c-3c0f-5d6b-9a51-7d9b6a1c5e11")


def new_uid(*, namespace: str, requester: Requester, idempotency_key: str | None) -> str:
    """The uid of a new run: random, or derived from the Idempotency-Key."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    return str(uuid.uuid5(_IDEMPOTENT, json_codec.canonical([namespace, requester.name, idempotency_key])))


def submission(
    spec: RunSpec,
    *,
    uid: str,
    namespace: str,
    name: str | None,
    requester: Requester,
    settings: LedgerSettings,
    retain_seconds: int,
) -> Submission:
    """The submission of a run without a TaskRun. Without a name, its name is its uid."""
    ttl = spec.ttl_seconds_after_finished
    return dataclasses.replace(
        submission_of(
            spec,
            who=Identity(uid=uid, namespace=namespace, name=name or uid),
            cluster=_NO_CLUSTER,
            settings=settings,
            born_final=Reason.CANCELLED_AT_CREATE if spec.cancel else None,
            spec_hash=_hash(spec, name=name),
        ),
        origin=ORIGIN,
        retain_seconds=retain_seconds if ttl is None else max(ttl, _LEAST_RETAIN_SECONDS),
        requester=requester.name,
    )


def _hash(spec: RunSpec, *, name: str | None) -> str:
    """A hash of the complete request, since a repeated request must be equal in every field."""
    cancel = spec.cancel.value if spec.cancel else None
    said = [fingerprint(spec), name, cancel, spec.ttl_seconds_after_finished]
    return hashlib.sha256(json_codec.canonical(said).encode()).hexdigest()
