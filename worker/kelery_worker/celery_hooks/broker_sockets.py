"""Sets time limits on Celery's own sockets to Redis, unless the app sets them.

Without limits, one lost packet can block a worker indefinitely. Observed on Kubernetes: a Service without a
ready pod answers the first packet of a connection with an ICMP error. The kernel may keep the error in the
socket's error queue although the next packet gets through. The socket then always polls as readable, and
redis-py 8.1 with hiredis waits in `recv` for data that nobody sends. A Redis that disappears without closing
its connections (a failed node, a forgotten NAT entry) has the same effect.
"""

from __future__ import annotations

from typing import Any

#: Longer than BRPOP's second and any pause of a healthy Redis; an error only makes Celery reconnect.
SOCKET_SECONDS = 10.0
#: redis-py tries four times, and a worker that shuts down makes several calls to a Redis that is gone.
CONNECT_SECONDS = 5.0
_DEFAULTS = {
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_keepalive": True,
}


def limit(conf: Any) -> None:
    """Limit the broker's sockets and the result backend's connects; the app's own values stay."""
    conf.broker_transport_options = {**_DEFAULTS, **(conf.broker_transport_options or {})}
    if conf.redis_socket_connect_timeout is None:
        conf.redis_socket_connect_timeout = CONNECT_SECONDS
