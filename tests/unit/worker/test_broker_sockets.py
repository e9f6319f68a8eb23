"""Which connection settings of a Celery app the plug-in sets, and which it leaves alone."""

from celery import Celery

from kelery_worker.celery_hooks import broker_sockets


def test_an_app_that_says_nothing_gets_limits() -> None:
    app = Celery("app", broker="redis://127.0.0.1:1/0")
    broker_sockets.limit(app.conf)
    options = app.connection_for_read().transport_options or {}
    assert options["socket_timeout"] == broker_sockets.SOCKET_SECONDS
    assert options["socket_connect_timeout"] == broker_sockets.CONNECT_SECONDS
    assert options["socket_keepalive"] is True
    assert app.conf.redis_socket_connect_timeout == broker_sockets.CONNECT_SECONDS


def test_what_the_app_says_stays() -> None:
    app = Celery("app", broker="redis://127.0.0.1:1/0")
    app.conf.broker_transport_options = {"socket_timeout": 3, "global_keyprefix": "mine:"}
    app.conf.redis_socket_connect_timeout = 4
    broker_sockets.limit(app.conf)
    options = app.connection_for_read().transport_options or {}
    assert options["socket_timeout"] == 3
    assert options["global_keyprefix"] == "mine:"
    assert options["socket_keepalive"] is True
    assert app.conf.redis_socket_connect_timeout == 4
