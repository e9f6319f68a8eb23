"""Runs a real stack whose worker, operator and gateway are stand-ins.

Valkey, etcd, API server, supervisor and signals are real. Flags that it does not know go to the stand-in of
the worker.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from kelery.errors import KeleryError
from kelery_dev.stack.foreground import Foreground
from kelery_dev.stack.services import Programs
from kelery_dev.stack.stack import DEMO_APP, Stack, StackOptions

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--app", default=DEMO_APP)
    parser.add_argument("--reload", action="store_true")
    parser.add_argument("--real-gateway", action="store_true")
    options, rest = parser.parse_known_args()
    programs = Programs(
        worker=(sys.executable, STAND_IN, "worker", *rest),
        operator=(sys.executable, STAND_IN, "operator"),
        gateway=Programs().gateway if options.real_gateway else (sys.executable, STAND_IN, "gateway"),
    )
    stack = Stack(
        StackOptions(
            state_dir=options.state_dir,
            port=options.port,
            kubeconfig=options.kubeconfig,
            app=options.app,
            reload=options.reload,
        ),
        programs=programs,
    )
    try:
        stack.prepare()
        asyncio.run(Foreground(stack).run())
    except KeleryError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
