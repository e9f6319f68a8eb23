"""Operator and gateway log in with a credential plug-in. Its tokens are refused and expire."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path

from kelery_dev.control_plane.control_plane import ControlPlane
from tests.support.accounts import Account, new_account, on_taskruns
from tests.support.cluster import Cluster
from tests.support.kubeconfigs import Plugin, kubeconfig
from tests.support.polling import poll_until
from tests.support.signed_token import with_claims
from tests.support.system import System

#: A lifetime longer than the margin before expiry at which a token is renewed.
_LIFE_SECONDS = 20


def new_administrator(plane: ControlPlane) -> Account:
    """A service account with all rights."""
    account = new_account(plane)
    account.bind_cluster_role("cluster-admin")
    account.wait_until_allowed(verb="watch")
    return account


def hand_out(plugin: Plugin, account: Account) -> float:
    """Make the plug-in print a new token of the account; when that token expires."""
    key = account.plane.settings.api_server.folder / "service-account.key"
    expires_at = int(time.time()) + _LIFE_SECONDS
    token = with_claims(account.token(), key=key, exp=expires_at)
    plugin.hands_out(token=token, expires_at=expires_at)
    return expires_at


def test_operator_and_gateway_go_on_with_what_the_plug_in_hands_out_next(
    bare_system: System, control_plane: ControlPlane, cluster: Cluster, tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path / "plugin")
    said = {
        "server": control_plane.server,
        "certificate-authority": str(control_plane.certificate),
        # The server's certificate has this name too.
        "tls-server-name": "kubernetes.default.svc",
    }
    file = kubeconfig(tmp_path / "config", cluster=said, user=plugin.user(command="plugin/login"))
    first, second = new_administrator(control_plane), new_administrator(control_plane)
    user = new_account(control_plane)
    user.allow(on_taskruns("list"))
    plugin.hands_out(token=first.token())
    with contextlib.ExitStack() as stack:
        worker = bare_system.start_worker(concurrency=1)
        stack.callback(worker.close)
        operator = bare_system.start_operator(KUBECONFIG=str(file), KELERY_NAMESPACES=cluster.namespace)
        stack.callback(operator.kill)
        gateway = bare_system.start_gateway(KUBECONFIG=str(file), KELERY_AUTH="kubernetes")
        stack.callback(gateway.kill)
        assert plugin.runs == 2

        def both_serve(name: str) -> None:
            cluster.create(name=name, task="users.echo", args=[1])
            cluster.wait_for(name, phase="Succeeded")
            # A new token, because the gateway caches the review of an old one.
            path = f"/v1/namespaces/{user.namespace}/taskruns"
            assert gateway.ask(path, token=user.token("kelery")).status == 200

        both_serve("with-the-first-token")
        assert plugin.runs == 2
        expires_at = hand_out(plugin, second)
        first.delete()
        numbers = itertools.count()

        def both_were_refused() -> bool:
            # The API server accepts a token for some seconds after its account is deleted. This loop makes a
            # new token each time, so that its whole lifetime is left when the old one is refused.
            nonlocal expires_at
            expires_at = hand_out(plugin, second)
            both_serve(f"refused-{next(numbers)}")
            return plugin.runs == 4

        poll_until(both_were_refused, seconds=60, what="a refusal", state=lambda: plugin.runs, every=1)
        plugin.hands_out(token=second.token())
        poll_until(
            lambda: time.time() > expires_at, seconds=_LIFE_SECONDS + 5, what="the token's end", every=0.5
        )
        both_serve("after-the-tokens-end")
        assert plugin.runs == 6
        assert "Traceback" not in operator.told()
        assert operator.terminate() == 0
        assert gateway.stop() == 0
        for process in (operator, gateway):
            assert "eyJ" not in process.log.read_text()
