"""Time limits on Celery's own sockets to Redis, where the app has set none: without them one lost packet can
hold up a worker for ever.

Seen on Kubernetes: a Service without a ready pod answers a connection's first packet with an ICMP error. The
kernel may keep it in the socket's error queue although the next packet gets through; the socket then polls as
readable for good, and redis-py 8.1 with hiredis waits in `recv` for data that nobody sends. A Redis that goes
away without closing its connections (a failed node, a forgotten NAT entry) does the same.
"""

from __future__ import annotations

from typing import Any

#: Longer than BRPOP's second and any pause of a healthy Redis; an error here only makes Celery connect anew.
SOCKET_SECONDS = 10.0
#: redis-py tries four times, and a worker that ends says more than one good-bye to a Redis that is gone.
CONNECT_SECONDS = 5.0
_DEFAULTS = {
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_keepalive": True,
}


def limit(conf: Any) -> None:
    """Bound the broker's sockets and the result backend's attempts to connect; what the app sets stays."""
    conf.broker_transport_options = {**_DEFAULTS, **(conf.broker_transport_options or {})}
    if conf.redis_socket_connect_timeout is None:
        conf.redis_socket_connect_timeout = CONNECT_SECONDS
