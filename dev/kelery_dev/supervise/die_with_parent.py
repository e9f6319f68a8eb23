"""Run a program that cannot outlive the process that started it: `die_with_parent.py PARENT_PID PROGRAM
ARGS...`

A file to be executed: it asks the kernel to kill this process when its parent dies, then becomes the
program. A `preexec_fn` would do the same, but is unsafe in a process with threads.

The kernel means the parent *thread*: start such a program from a thread that lives on.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def wrap(argv: tuple[str, ...]) -> list[str]:
    """The arguments that run `argv` so that it dies with this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv]


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then replace it by the program."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the request was in force.
        if os.getppid() != parent:
            sys.exit(1)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.exit(f"cannot start {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
