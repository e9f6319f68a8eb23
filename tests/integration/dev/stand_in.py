"""A program in place of a service of the stack: its flags cause failures that are rare in a real service.

`stand_in.py worker ...` prints Celery's ready line. `stand_in.py operator` and `stand_in.py gateway` serve
/readyz at the address in their environment.
`--stubborn` makes it print SIGTERM and SIGQUIT and go on. `--orphan FILE` starts a process in another session
and writes its pid to FILE. `--exit CODE` ends it at once.
"""

import argparse
import http.server
import os
import signal
import subprocess
import sys
import time

#: The variable with the address of each.
_ADDRESSES = {"operator": "KELERY_OPERATOR_HEALTH_ADDR", "gateway": "KELERY_API_ADDR"}


class Ready(http.server.BaseHTTPRequestHandler):
    """Answers every GET with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def note(number: int, _: object) -> None:
    """Print which signal came, and go on."""
    print(f"told {signal.Signals(number).name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--orphan")
    parser.add_argument("--exit", type=int)
    options, _ = parser.parse_known_args()
    if options.exit is not None:
        print("giving up", flush=True)
        sys.exit(options.exit)
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, note if options.stubborn else lambda *_: os._exit(0))
    if options.orphan:
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        with open(options.orphan, "w") as file:
            file.write(str(orphan.pid))
    print(f"{options.role} pid={os.getpid()} redis={os.environ.get('KELERY_REDIS_URL')}", flush=True)
    print(f"{options.role} start={os.environ.get('KELERY_START_TASK')}", flush=True)
    if options.role in _ADDRESSES:
        host, _, port = os.environ[_ADDRESSES[options.role]].rpartition(":")
        http.server.HTTPServer((host, int(port)), Ready).serve_forever()
    print(f"celery@{options.role} ready.", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
