"""`helm test`: submit one run through each enabled API. Uses the standard library only.

Exit status 0 if every run succeeded; otherwise 1, with the error on stderr.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_GATEWAY_TOKEN = Path("/var/run/secrets/kelery/token")
_POLL_SECONDS = 0.5

Json = dict[str, Any]
Ask = Callable[..., Json]


class Failed(Exception):
    """An error, in words for the user."""


def main() -> None:
    """Submit one run through each enabled API, and wait for its end."""
    runs = f"/namespaces/{os.environ['KELERY_TEST_NAMESPACE']}/taskruns"
    deadline = time.monotonic() + float(os.environ["KELERY_TEST_SECONDS"])
    spec = {
        "task": os.environ["KELERY_TEST_TASK"],
        "args": json.loads(os.environ["KELERY_TEST_ARGS"]),
        "ttlSecondsAfterFinished": 300,
    }
    if queue := os.environ.get("KELERY_TEST_QUEUE"):
        spec["queue"] = queue
    if os.environ["KELERY_TEST_OPERATOR"] == "true":
        ask = _api_server()
        body = {
            "apiVersion": "kelery.dev/v1alpha1",
            "kind": "TaskRun",
            "metadata": {"generateName": "kelery-test-"},
            "spec": spec,
        }
        _through("Kubernetes", ask, "/apis/kelery.dev/v1alpha1" + runs, body, id_of="name", deadline=deadline)
    if gateway := os.environ.get("KELERY_TEST_GATEWAY"):
        _through("HTTP", _gateway(gateway), "/v1" + runs, {"spec": spec}, id_of="uid", deadline=deadline)


def _through(api: str, ask: Ask, runs: str, body: Json, *, id_of: str, deadline: float) -> None:
    started = time.monotonic()
    path = f"{runs}/{ask('POST', runs, body)['metadata'][id_of]}"
    run: Json = {}
    try:
        while run.get("status", {}).get("phase") not in ("Succeeded", "Failed", "Cancelled"):
            if time.monotonic() > deadline:
                status = json.dumps(run.get("status"))
                raise Failed(f"{api}: the run did not end in time; its status: {status}")
            time.sleep(_POLL_SECONDS)
            run = ask("GET", path)
    finally:
        ask("DELETE", path)
    status = run["status"]
    if status["phase"] != "Succeeded":
        raise Failed(f"{api}: {status['phase']}/{status.get('reason')}: {json.dumps(status.get('error'))}")
    result = json.dumps(status.get("result", {}).get("value"))
    sys.stdout.write(f"{api}: Succeeded in {time.monotonic() - started:.1f} s, result {result}\n")


def _api_server() -> Ask:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    trust = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
    # The certificate authorities of many clusters lack the key usage that Python 3.13 requires by default.
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    token = (_ACCOUNT / "token").read_text().strip()
    return _client(f"https://{host}:{port}", token=token, trust=trust)


def _gateway(url: str) -> Ask:
    token = _GATEWAY_TOKEN.read_text().strip() if _GATEWAY_TOKEN.exists() else ""
    return _client(url, token=token, trust=None)


def _client(base: str, *, token: str, trust: ssl.SSLContext | None) -> Ask:
    # Neither server is behind a proxy.
    openers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if trust is not None:
        openers.append(urllib.request.HTTPSHandler(context=trust))
    opener = urllib.request.build_opener(*openers)

    def ask(method: str, path: str, body: Json | None = None) -> Json:
        request = urllib.request.Request(base + path, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with opener.open(request, timeout=30) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {base}{path}: {error.code}: {error.read(2000).decode()}") from error
        except OSError as error:
            raise Failed(f"{method} {base}{path}: {error}") from error
        answer: Json = json.loads(content) if content else {}
        return answer

    return ask


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.stderr.write(f"{failure}\n")
        sys.exit(1)
