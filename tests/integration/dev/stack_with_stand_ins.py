"""Runs a real stack whose worker and operator are stand-ins: `... STATE_DIR PORT [FLAGS...]`.

Valkey, etcd, API server, supervisor and signals are the real ones. The flags go to the worker's stand-in.
"""

import asyncio
import sys
from pathlib import Path

from kelery_dev.errors import DevError
from kelery_dev.stack import Stack, StackOptions
from kelery_dev.stack_parts import Programs

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def main() -> None:
    state_dir, port, *flags = sys.argv[1:]
    programs = Programs(
        worker=(sys.executable, STAND_IN, "worker", *flags), operator=(sys.executable, STAND_IN, "operator")
    )
    stack = Stack(StackOptions(state_dir=Path(state_dir), port=int(port)), programs=programs)
    try:
        stack.prepare()
        asyncio.run(stack.run())
    except DevError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
