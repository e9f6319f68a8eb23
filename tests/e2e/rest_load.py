"""Load through the REST API, in a pod: a client that must not lose a run. Standard library only.

It sends each run with an Idempotency-Key. It repeats a request after no answer, 429 or 5xx, and waits for the
end of each run. It ends when /tmp/stop exists. Its last line is JSON: outcomes, failures.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = os.environ["LOAD_URL"]
TOKEN = Path("/var/run/secrets/kelery/token")
STOP = Path("/tmp/stop")
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.5

numbers = itertools.count(1)
outcomes: dict[str, str] = {}


def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
    """The answer's JSON. Repeats the request for two minutes while there is no answer."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        request = urllib.request.Request(
            URL + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {TOKEN.read_text().strip()}",
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            if error.code != 429 and error.code < 500:
                raise SystemExit(f"{method} {path}: {error.code} {said}") from error
            trouble = f"{error.code} {said}"
        except (OSError, ValueError) as error:
            trouble = repr(error)
        if time.monotonic() > until:
            raise SystemExit(f"{method} {path}: for {PATIENCE_SECONDS} s nothing but {trouble}")
        print(f"again: {method}: {trouble}", file=sys.stderr, flush=True)
        time.sleep(0.5)


def send_and_follow() -> None:
    """Send runs one after the other, and wait for the end of each."""
    spec, places = json.loads(os.environ["LOAD_SPEC"]), os.environ["LOAD_PLACES"].split(",")
    while not STOP.exists():
        number = next(numbers)
        name, place = f"{os.environ['LOAD_ID']}-{number}", places[number % len(places)]
        outcomes[name] = "not accepted"
        run_spec = {
            **spec,
            "args": [place, name, float(os.environ["LOAD_SECONDS"])],
            "concurrency": {"key": place},
        }
        run = ask("POST", "", {"spec": run_spec}, **{"Idempotency-Key": name})
        uid = run["metadata"]["uid"]
        until = time.monotonic() + PATIENCE_SECONDS
        while run["status"]["phase"] not in ("Succeeded", "Failed", "Cancelled"):
            if time.monotonic() > until:
                raise SystemExit(f"{name} does not end: {run['status']}")
            time.sleep(PAUSE_SECONDS)
            run = ask("GET", f"/{uid}")
        outcomes[name] = f"{run['status']['phase']}/{run['status']['reason']}"


def main() -> None:
    """Send runs in several threads."""
    failures: list[str] = []

    def guarded() -> None:
        try:
            send_and_follow()
        except BaseException as error:
            failures.append(str(error))

    threads = [threading.Thread(target=guarded) for _ in range(int(os.environ["LOAD_THREADS"]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"outcomes": outcomes, "failures": failures}), flush=True)


if __name__ == "__main__":
    main()
