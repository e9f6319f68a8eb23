"""Checks before the benchmark that Kelery is installed and that the user has all permissions.

Each finding is a `DevError` with a remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kelery.kube.sync_session import SyncSession
from kelery_bench.cluster.target import Target
from kelery_dev.errors import DevError

_VERBS = ("create", "get", "list", "watch", "deletecollection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A verb on a resource; in all namespaces if `namespace` is empty."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}"


def check_kelery_is_there(access: SyncSession) -> None:
    """Check that the API server answers, accepts the credentials and serves TaskRuns."""
    answer = access.request("GET", path="/apis/kelery.dev/v1alpha1")
    if answer.status == 401:
        raise DevError(
            f"the API server at {access.server} rejects the kubeconfig's credentials: log in again,"
            " or choose another context with --context"
        )
    if answer.status == 404:
        raise DevError(
            f"the API server at {access.server} has no TaskRuns: install Kelery there"
            " (docs/how-to/install.md), or choose another context with --context"
        )
    if answer.status != 200:
        raise DevError(f"cannot read TaskRuns from the API server at {access.server}: {answer.message}")


def check_rights(target: Target, *, namespace: str) -> None:
    """Check the permissions in `namespace`, which may not exist yet."""
    access = target.access
    if not target.namespace:
        if missing := _missing(access, [Right(verb=verb, resource="namespaces") for verb in _OWN_NAMESPACE]):
            raise DevError(
                f"you do not have permission to {_listed(missing)}:"
                " choose an existing namespace with --namespace"
            )
    elif access.request("GET", path=f"/api/v1/namespaces/{namespace}").status == 404:
        raise DevError(f"there is no namespace {namespace}: create it, or choose another with --namespace")
    kinds = (("taskruns", "kelery.dev"), ("jobs", "batch"))
    wanted = [
        Right(verb=verb, resource=resource, group=group, namespace=namespace)
        for resource, group in kinds
        for verb in _VERBS
    ]
    if missing := _missing(access, wanted):
        raise DevError(
            f"in the namespace {namespace} you do not have permission to {_listed(missing)};"
            " the ClusterRole edit includes them if the chart's rbac.aggregate is on"
        )
    pods = Right(verb="list", resource="pods", namespace=target.worker_namespace or "")
    if _missing(access, [pods]):
        where = f"in the namespace {pods.namespace}" if pods.namespace else "of all namespaces"
        raise DevError(
            f"you do not have permission to list the pods {where}, which is needed to find the workers' nodes"
            " and image: give the workers' namespace with --worker-namespace"
        )


_OWN_NAMESPACE = ("create", "delete")


def _missing(access: SyncSession, rights: Iterable[Right]) -> list[Right]:
    return [right for right in rights if not _have(access, right)]


def _have(access: SyncSession, right: Right) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "namespace": right.namespace,
    }
    answer = access.request(
        "POST",
        path="/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    if answer.status != 201:
        raise DevError(f"cannot check your permissions at the API server: {answer.message}")
    return bool((answer.body.get("status") or {}).get("allowed"))


def _listed(rights: Sequence[Right]) -> str:
    return ", ".join(str(right) for right in rights)
