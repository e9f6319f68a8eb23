"""The run message is one that Celery itself takes: kombu and Celery decode it here, without a broker."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.worker.request import Request
from kombu import Connection
from kombu.transport.base import Message

from kelery.run import run_message

ARGS: list[Any] = [1, None, 2**60 + 1, {"größe": [[], {}]}]
KWARGS = {"name": "Zoë \U0001f600", "empty": []}


@pytest.fixture
def channel() -> Iterator[Any]:
    with Connection("memory://") as connection:
        yield connection.channel()


STAND_IN = run_message.STAND_IN_TASK


def test_kombu_and_celery_decode_it(channel: Any) -> None:
    message = _message(channel, tag="uid-1:1:1")
    assert message.headers["id"] == message.properties["correlation_id"] == "uid-1"
    assert (message.headers["task"], message.headers[run_message.TASK_HEADER]) == (STAND_IN, "demo.add")
    assert message.headers[run_message.HEADER] == "uid-1"
    assert message.delivery_info["routing_key"] == "batch"
    args, kwargs, _ = message.decode()
    assert (args, kwargs) == (ARGS, KWARGS)


def test_celery_makes_a_request_of_it(channel: Any) -> None:
    app = Celery("test", set_as_current=False)

    @app.task(name="demo.add")
    def add(*args: Any, **kwargs: Any) -> None:
        """Never called here."""

    # Only Celery knows what its request needs of a message.
    request: Any = Request(_message(channel, tag="uid-1:2:7"), app=app, task=add)
    # Until the plug-in puts the real name back, nobody takes it for a task of theirs.
    assert (request.id, request.name) == ("uid-1", STAND_IN)
    assert request.delivery_info["routing_key"] == "batch"
    assert request.request_dict["retries"] == 3
    assert request.request_dict[run_message.HEADER] == "uid-1"


def test_arguments_are_in_no_header_that_event_monitors_show(channel: Any) -> None:
    headers = json.dumps(_message(channel, tag="uid-1:1:1").headers)
    assert "Zo" not in headers
    assert str(2**60 + 1) not in headers


def test_a_tag_tells_which_attempt_it_rings_for(channel: Any) -> None:
    tag = _message(channel, tag="uid-1:12:3").delivery_tag
    assert tag is not None
    assert run_message.read_tag(tag) == run_message.Tag(uid="uid-1", attempt=12, push=3)


@pytest.mark.parametrize(
    "tag",
    ["", "5c2d4a4e-6a0f-4c9e-8c1f-0d7c5a1f1a11", "uid", "uid:1", "uid:x:1", "uid:1:x", ":1:1", "uid:1:1:1"],
)
def test_a_tag_that_the_ledger_did_not_write_is_none(tag: str) -> None:
    assert run_message.read_tag(tag) is None


def _message(channel: Any, *, tag: str) -> Message:
    """As kombu's Redis transport makes it of what stands in the list."""
    made = run_message.make(uid="uid-1", task="demo.add", args=ARGS, kwargs=KWARGS, queue="batch", retries=3)
    payload = json.loads(made.head + tag + made.tail)
    message: Message = channel.Message(payload, channel=channel)
    return message
