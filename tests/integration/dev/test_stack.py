"""The whole `kelery dev` as a separate process: it starts, keeps its state, and leaves nothing running."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.supervise.ports import free_port
from tests.integration.dev.test_control_plane import RUN
from tests.support.marked_processes import Marked
from tests.support.polling import poll_until

PROGRAM = str(Path(__file__).with_name("stack_with_stand_ins.py"))
UP = "the stack is up"


class RunningStack:
    """One `kelery dev` with stand-ins for worker, operator and gateway."""

    def __init__(
        self, folder: Path, *, port: int, flags: tuple[str, ...], environment: dict[str, str]
    ) -> None:
        self.folder = folder
        self.port = port
        self.output = folder.with_name(f"{folder.name}-{time.monotonic_ns()}.out")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, str(folder), str(port), *flags],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str, *, timeout: float = 60) -> None:
        """Wait until it prints a text; fail at once if it ends earlier."""
        poll_until(
            lambda: text in self.text() or self.process.poll() is not None,
            seconds=timeout,
            what=repr(text),
            state=self.text,
        )
        assert text in self.text(), self.text()

    def exports(self) -> dict[str, str]:
        """The variables in the `export` lines that it prints."""
        lines = [line for line in self.text().splitlines() if line.startswith("export ")]
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def worker_log(self) -> str:
        """What the worker's stand-in has written."""
        return (self.folder / "logs" / "worker.log").read_text()

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end; `tests/unit/dev/test_supervision_rules.py` has its limits."""
        self.process.send_signal(number)
        self.process.wait(timeout=60)


StartStack = Callable[..., RunningStack]


@pytest.fixture
def start_stack(tmp_path: Path, marked: Marked, control_plane_binaries: Binaries) -> Iterator[StartStack]:
    """Start stacks that share one state directory by default.

    `on` is an existing cluster: tests of worker, operator and gateway save the time of a new control plane.
    """
    own = str(control_plane_binaries.folder)
    started: list[RunningStack] = []

    def start(
        *flags: str,
        on: ControlPlane | None = None,
        folder: str = "state",
        port: int = 0,
        assets: str = own,
        **variables: str,
    ) -> RunningStack:
        if on:
            flags = (*flags, f"--kubeconfig={on.kubeconfig}")
        environment = {**marked.environment, "KUBEBUILDER_ASSETS": assets, **variables}
        stack = RunningStack(
            tmp_path / folder, port=port or free_port(), flags=flags, environment=environment
        )
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.process.kill()
        stack.process.wait()


def kubectl(stack: RunningStack, binaries: Binaries, *arguments: str, given: str = "") -> str:
    """Run kubectl with only the KUBECONFIG that the stack printed."""
    done = subprocess.run(
        [str(binaries.kubectl), *arguments],
        env={"KUBECONFIG": stack.exports()["KUBECONFIG"], "HOME": str(stack.folder)},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sigterm_leaves_nothing_running_and_the_next_start_finds_everything(
    start_stack: StartStack, marked: Marked, control_plane_binaries: Binaries
) -> None:
    stack = start_stack()
    stack.wait_for(UP)
    kubectl(stack, control_plane_binaries, "create", "-f", "-", given=json.dumps(RUN))
    with redis.Redis.from_url(stack.exports()["REDIS_URL"]) as client:
        client.set("kept", "yes")
    exports = stack.exports()
    stack.end(signal.SIGTERM)
    assert marked.names() == []
    assert stack.process.returncode == 0, stack.text()

    again = start_stack(port=stack.port)
    again.wait_for(UP)
    assert again.exports() == exports
    assert kubectl(again, control_plane_binaries, "get", "taskruns", "-o", "name") == (
        "taskrun.kelery.dev/first\n"
    )
    with redis.Redis.from_url(exports["REDIS_URL"]) as client:
        assert client.get("kept") == b"yes"


def test_a_watch_and_a_worker_that_will_not_end_do_not_keep_it(
    start_stack: StartStack, marked: Marked, control_plane_binaries: Binaries
) -> None:
    stack = start_stack("--stubborn")
    stack.wait_for(UP)
    watch = subprocess.Popen(
        [str(control_plane_binaries.kubectl), "get", "namespaces", "--watch"],
        env={"KUBECONFIG": stack.exports()["KUBECONFIG"], "HOME": str(stack.folder)},
        stdout=subprocess.PIPE,
    )
    with watch:
        assert watch.stdout is not None
        assert watch.stdout.readline()
        stack.end(signal.SIGINT)
        watch.kill()
    # It got both signals before it was killed.
    assert "told SIGTERM\ntold SIGQUIT\n" in stack.worker_log()
    assert marked.names() == []


def test_a_second_ctrl_c_kills_at_once(
    start_stack: StartStack, marked: Marked, control_plane: ControlPlane
) -> None:
    stack = start_stack("--stubborn", on=control_plane)
    stack.wait_for(UP)
    stack.process.send_signal(signal.SIGINT)
    stack.wait_for("press Ctrl-C again")
    stack.end(signal.SIGINT)
    # It was killed before the next signal was sent.
    assert "told SIGQUIT" not in stack.worker_log()
    assert marked.names() == []


def test_sigkill_leaves_nothing_running(start_stack: StartStack, marked: Marked) -> None:
    stack = start_stack()
    stack.wait_for(UP)
    assert len(marked.names()) == 7
    stack.end(signal.SIGKILL)
    poll_until(lambda: not marked.names(), seconds=10, what="the end of all", state=marked.names)


def test_a_signal_while_it_comes_up_leaves_nothing_running(start_stack: StartStack, marked: Marked) -> None:
    stack = start_stack()
    stack.wait_for("etcd is up")
    stack.end(signal.SIGTERM)
    assert marked.names() == []
    assert UP not in stack.text()


def test_a_second_one_on_the_same_directory_or_port_is_refused(
    start_stack: StartStack, marked: Marked, control_plane: ControlPlane
) -> None:
    first = start_stack(on=control_plane)
    first.wait_for("valkey is up")
    same_folder = start_stack()
    assert same_folder.process.wait(timeout=60) == 1
    assert f"refused: another kelery dev (process {first.process.pid}) uses" in same_folder.text()
    same_port = start_stack(folder="other", port=first.port)
    assert same_port.process.wait(timeout=60) == 1
    assert f"refused: port {first.port} is in use" in same_port.text()
    first.wait_for(UP)


def test_what_it_prints_to_be_copied_is_what_its_env_file_holds(
    start_stack: StartStack, control_plane_binaries: Binaries, tmp_path: Path
) -> None:
    stack = start_stack(PATH=str(tmp_path))
    stack.wait_for("export PATH=")
    lines = [line for line in stack.text().splitlines() if line.startswith("export ")]
    assert lines == (stack.folder / "env").read_text().splitlines()
    assert [line.partition("=")[0] for line in lines] == [
        "export KUBECONFIG",
        "export REDIS_URL",
        "export KELERY_URL",
        "export PATH",
    ]
    assert str(control_plane_binaries.folder) in lines[-1]


def test_the_gateway_is_where_it_says_and_starts_a_task_of_the_persons_app(
    start_stack: StartStack, control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "proj_of_a_person.py").write_text(
        "from celery import Celery\napp = Celery()\n@app.task(name='proj.report')\ndef report(tenant): ...\n"
    )
    stack = start_stack("--app=proj_of_a_person", on=control_plane, PYTHONPATH=str(tmp_path))
    stack.wait_for("--data-urlencode")
    url = f"http://127.0.0.1:{stack.port}"
    assert stack.exports()["KELERY_URL"] == url
    assert f"gateway is up: {url}" in stack.text()
    assert f'curl -G {url}/start --data-urlencode \'kwargs={{"tenant": "..."}}\'' in stack.text()
    assert "gateway start=proj.report" in (stack.folder / "logs" / "gateway.log").read_text()


def test_a_gateway_whose_port_somebody_took_meanwhile_says_so_and_holds_nothing_up(
    start_stack: StartStack, control_plane: ControlPlane
) -> None:
    stack = start_stack("--real-gateway", on=control_plane)
    stack.wait_for("valkey is up")
    with socket.create_server(("127.0.0.1", stack.port)):
        stack.wait_for("gateway ended during its start; continuing without it until it is up")
    assert f"KELERY_API_ADDR=127.0.0.1:{stack.port}: address already in use" in stack.text()
    stack.wait_for("gateway is up")


def test_an_app_that_cannot_be_loaded_is_refused_before_anything_starts(
    start_stack: StartStack, marked: Marked
) -> None:
    stack = start_stack("--app=nowhere")
    assert stack.process.wait(timeout=60) == 1
    assert stack.text().startswith("refused: --app nowhere: there is no module 'nowhere'")
    assert "valkey is up" not in stack.text()
    assert marked.names() == []


def test_with_reload_an_app_that_cannot_be_loaded_is_waited_for(
    start_stack: StartStack, control_plane: ControlPlane
) -> None:
    stack = start_stack("--app=nowhere", "--reload", on=control_plane)
    stack.wait_for("--app nowhere: there is no module 'nowhere'")
    stack.wait_for("valkey is up")
    assert "--reload: continuing" in stack.text()


def test_a_server_of_the_stack_that_crashes_comes_back(
    start_stack: StartStack, marked: Marked, control_plane_binaries: Binaries
) -> None:
    stack = start_stack()
    stack.wait_for(UP)
    for name in ("etcd", "valkey-server"):
        [victim] = [process for process in marked.processes() if process.name() == name]
        victim.kill()
    stack.wait_for("etcd died (signal SIGKILL); restarting it in 1 s")
    stack.wait_for("valkey died (signal SIGKILL)")
    poll_until(
        lambda: stack.text().count("etcd is up") == 2 and stack.text().count("valkey is up") == 2,
        seconds=30,
        what="both servers to be up again",
        state=stack.text,
    )
    kubectl(stack, control_plane_binaries, "create", "namespace", "after")


def test_an_existing_cluster_gets_the_crd_alone_and_needs_no_programs(
    start_stack: StartStack, control_plane_binaries: Binaries, tmp_path: Path
) -> None:
    with ControlPlane.start(binaries=control_plane_binaries, state_dir=tmp_path / "cluster") as cluster:
        for kind in ("crd", "validatingadmissionpolicy", "validatingadmissionpolicybinding"):
            assert cluster.kubectl("delete", kind, "--all").returncode == 0
        stack = start_stack(on=cluster, assets="/nowhere")
        stack.wait_for(UP)
        assert stack.exports()["KUBECONFIG"] == str(cluster.kubeconfig)
        assert cluster.kubectl("get", "taskruns").returncode == 0
        assert cluster.kubectl("get", "validatingadmissionpolicies", "-o", "name").stdout == ""
        assert "etcd is up" not in stack.text()
        stack.end(signal.SIGTERM)
        assert stack.process.returncode == 0, stack.text()


def test_a_worker_that_does_not_start_holds_nothing_up(
    start_stack: StartStack, control_plane: ControlPlane
) -> None:
    stack = start_stack("--exit=1", on=control_plane)
    stack.wait_for(UP)
    assert "worker ended during its start; continuing without it until it is up" in stack.text()
    stack.end(signal.SIGTERM)
    assert stack.process.returncode == 0, stack.text()
