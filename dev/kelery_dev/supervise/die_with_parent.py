"""Runs a program that dies with its parent: `die_with_parent.py PARENT_PID PROGRAM ARGS...`

The script asks the kernel to kill this process when its parent dies, then executes the program. A
`preexec_fn` would do the same, but is unsafe in a process with threads.

For the kernel the parent is a *thread*: start such a program from a thread that continues to live.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def wrap(argv: tuple[str, ...]) -> list[str]:
    """The command line that runs `argv` and dies with this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv]


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then execute the program."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the request took effect.
        if os.getppid() != parent:
            sys.exit(1)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.exit(f"cannot start {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
