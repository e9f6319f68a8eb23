"""Starts the textbook operator as a service of a benchmark's stack."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.kube_objects import Kind
from kelery_bench.local_stack import LocalStack, StackService
from kelery_dev.control_plane.etcd import http_answers
from kelery_dev.errors import DevError
from kelery_dev.supervise.child_process import Command
from kelery_dev.supervise.ports import LOOPBACK, free_port

CELERY_TASK = Kind(group="textbook.example", version="v1", plural="celerytasks", kind="CeleryTask")

_FOLDER = Path(__file__).parent
_PROGRAM = _FOLDER / "textbook_operator.py"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def start_textbook_operator(stack: LocalStack) -> StackService:
    """Start the operator, which watches its own kind in all namespaces, and uses the stack's worker."""
    crd = yaml.safe_load((_FOLDER / "textbook_crd.yaml").read_text())
    _apply_crd(stack.access, crd)
    liveness = f"http://{LOOPBACK}:{free_port()}/healthz"
    arguments = ("run", "--standalone", "--all-namespaces", f"--liveness={liveness}", str(_PROGRAM))
    command = Command(
        name="textbook",
        argv=(sys.executable, "-m", "kopf", *arguments),
        env={"KUBECONFIG": str(stack.plane.kubeconfig), "USERS_BROKER": stack.valkey.url},
    )
    return stack.start_program(command, ready=lambda _: http_answers(liveness))


def _apply_crd(access: SyncSession, crd: Mapping[str, Any]) -> None:
    answer = access.request("POST", path=_CRDS, body=crd)
    if answer.status not in (201, 409):
        raise DevError(f"the API server rejected the CRD of the textbook operator: {answer.message}")
