"""Two operators in one namespace, one of which is slow: what it decided long ago changes nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import yaml

from kelery_dev.control_plane.control_plane import ControlPlane
from tests.integration.operator.conftest import StartOperator
from tests.support.cluster import Cluster, Watcher
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import Message, PlayedWorker
from tests.support.polling import poll_until
from tests.support.tcp_proxy import TcpProxy

UNSENT = "kelery_operator_status_writes_unsent"


def test_a_status_that_comes_after_the_end_is_refused(
    control_plane: ControlPlane,
    cluster: Cluster,
    worker: PlayedWorker,
    operator: OperatorProcess,
    start_operator: StartOperator,
    tmp_path: Path,
) -> None:
    def create(slow: OperatorProcess) -> Message:
        cluster.create(name="run")
        message = worker.next_message()
        cluster.wait_for("run", phase="Admitted")
        poll_until(lambda: slow.metric(UNSENT) == 0, seconds=30, what="the slow operator to be idle")
        return message

    def start_and_end(slow: OperatorProcess, watcher: Watcher, message: Message) -> None:
        claim = worker.claim(message)
        poll_until(lambda: slow.metric(UNSENT) == 1, seconds=30, what="its status to be on its way")
        # It waits for a newer one before it goes.
        time.sleep(0.5)
        worker.succeed(claim)  # type: ignore[arg-type]  # refused: the test fails
        watcher.wait_final("run")

    def wait_until_all_is_written(slow: OperatorProcess) -> None:
        poll_until(
            lambda: slow.metric(UNSENT) == 0 and not worker.unacknowledged(),
            seconds=30,
            what="both to have written all",
        )

    async def scene() -> list[str]:
        async with TcpProxy(to=control_plane.settings.api_server.port) as proxy:
            content = yaml.safe_load(control_plane.kubeconfig.read_text())
            content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(content))
            slow = await asyncio.to_thread(start_operator, KUBECONFIG=str(kubeconfig))
            message = await asyncio.to_thread(create, slow)
            with cluster.watched() as watcher:
                proxy.lets_pass.clear()
                await asyncio.to_thread(start_and_end, slow, watcher, message)
                proxy.lets_pass.set()
                await asyncio.to_thread(wait_until_all_is_written, slow)
                refused = 'kelery_operator_status_writes_total{answer="409"}'
                assert await asyncio.to_thread(slow.metric, refused) == 1
                return watcher.phases("run")

    assert asyncio.run(scene()) == ["Running", "Succeeded"]
