"""Deletes the TaskRun of a run through the API server."""

from __future__ import annotations

from kelery.kube.answer import KubeError
from kelery.kube.session import ClusterSession
from kelery.run.model import Record
from kelery.taskrun.resource import GROUP, PLURAL, VERSION
from kelery_api.http.problems import Kind, Problem

_NOT_DELETED = "the API server did not delete the TaskRun; try again"


class TaskRunDeletion:
    """Deletes with the gateway's own account. The route checks the caller's permission first."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session

    async def __call__(self, record: Record) -> None:
        """Delete the object with the run's uid. Succeeds if it no longer exists."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{record.namespace}/{PLURAL}/{record.name}"
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": record.uid},
        }
        try:
            response = await self._session.request("DELETE", path, body=options)
        except KubeError as error:
            if error.status == 403:
                raise Problem(
                    Kind.NOT_DELETABLE_HERE,
                    "the run was created through the Kubernetes API, and the gateway's account has no"
                    " permission to delete its TaskRun; grant it delete on taskruns.kelery.dev, or use"
                    f" kubectl delete taskrun {record.name} -n {record.namespace}",
                ) from error
            raise Problem(Kind.CLUSTER_UNAVAILABLE, _NOT_DELETED) from error
        # 409: another object now has the name. A server without the CRD responds with 404 too.
        if response.status not in (200, 202, 409) and not response.says_absent(record.name):
            raise Problem(Kind.CLUSTER_UNAVAILABLE, _NOT_DELETED)
