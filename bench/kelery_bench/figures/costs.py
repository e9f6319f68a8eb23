"""Costs, read at their source: processes, the API server's own counters, both stores."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Iterable

import psutil
import redis

from kelery_bench.clients.kube_objects import Kind
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.errors import DevError

#: Requests that change one object that is there. The client has none: it creates, and deletes all at once.
_WRITES = ("PATCH", "PUT", "APPLY", "DELETE")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def cpu_seconds(pid: int) -> float:
    """The processor time of the process in seconds, in user and kernel mode."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_bytes(pid: int) -> int:
    """The resident memory of the process in bytes."""
    return int(psutil.Process(pid).memory_info().rss)


def writes_of(plane: ControlPlane, kind: Kind) -> int:
    """The number of write requests at the API server, except creations; rejected ones included."""
    answer = plane.kubectl("get", "--raw", "/metrics")
    if answer.returncode:
        raise DevError(f"the API server shows no metrics: {answer.stderr}")
    return _count_writes(answer.stdout.splitlines(), kind=kind)


def _count_writes(lines: Iterable[str], *, kind: Kind) -> int:
    total = 0.0
    for line in lines:
        if not line.startswith("apiserver_request_total{"):
            continue
        text, _, value = line.rpartition(" ")
        labels = dict(_LABEL.findall(text))
        of_kind = labels["group"] == kind.group and labels["resource"] == kind.plural
        if of_kind and labels["scope"] == "resource" and labels["verb"] in _WRITES:
            total += float(value)
    return int(total)


def stored_bytes(plane: ControlPlane, kind: Kind, *, namespace: str, name: str) -> int:
    """The size of an object in etcd, in bytes."""
    key = f"/registry/{kind.group}/{kind.plural}/{namespace}/{name}"
    request = urllib.request.Request(
        f"{plane.settings.etcd.url}/v3/kv/range",
        data=json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode(),
    )
    with _DIRECT.open(request, timeout=10) as answer:
        found = json.load(answer).get("kvs") or []
    if not found:
        raise DevError(f"etcd has no {key}")
    return len(base64.b64decode(found[0]["value"]))


def bytes_of_run(client: redis.Redis, uid: str) -> int:
    """The memory of all Redis keys of this run alone, in bytes."""
    return sum(
        int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter(f"*{uid}*", count=1000)
    )
