"""The gateway is compared with this app: FastAPI and Celery, with nothing in between.

`python bare_app.py PORT` serves on loopback. The broker is USERS_BROKER.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import uvicorn
from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel

celery = Celery("bare", broker=os.environ["USERS_BROKER"], backend=os.environ["USERS_BROKER"])
app = FastAPI()


class Wanted(BaseModel):
    """The task to send."""

    task: str
    args: list[Any] = []


class Accepted(BaseModel):
    """The answer for a sent task."""

    id: str
    status: str


@app.post("/tasks", status_code=202)
async def send(wanted: Wanted) -> Accepted:
    """Send the task, on the event loop: a thread for each request would be slower."""
    sent = celery.send_task(wanted.task, args=wanted.args, queue="bare")
    return Accepted(id=str(sent.id), status="PENDING")


@app.post("/results", status_code=202)
def run(wanted: Wanted) -> dict[str, Any]:
    """Send the task and wait for its result, in a thread."""
    sent = celery.send_task(wanted.task, args=wanted.args)
    return {"id": str(sent.id), "result": sent.get(timeout=10)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
