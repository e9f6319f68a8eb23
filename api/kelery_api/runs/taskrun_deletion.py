"""Deleting the TaskRun behind a run, over the API server."""

from __future__ import annotations

from kelery.kube.answer import KubeError
from kelery.kube.session import ClusterSession
from kelery.run.model import Record
from kelery.taskrun.resource import GROUP, PLURAL, VERSION
from kelery_api.http.problems import Kind, Problem


class TaskRunDeletion:
    """With the gateway's own account; that the caller may is asked before."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session

    async def __call__(self, record: Record) -> None:
        """Delete exactly the object that the run was born as; it may be gone already."""
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
                    "it was born as a TaskRun, which the gateway's own account may not delete; use"
                    f" kubectl delete taskrun {record.name} -n {record.namespace}",
                ) from error
            raise Problem(Kind.CLUSTER_UNAVAILABLE, "the API server did not delete the TaskRun") from error
        # 409: another object has the name by now. A server that serves no TaskRuns answers 404 too.
        if response.status not in (200, 202, 409) and not response.says_absent(record.name):
            raise Problem(Kind.CLUSTER_UNAVAILABLE, "the API server did not delete the TaskRun")
