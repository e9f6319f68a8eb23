"""The one error of `kelery dev`: a sentence for the person at the terminal.

Everything below the command line raises `DevError` with text that names what failed and what to do;
the command line prints it without a traceback.
"""


class DevError(Exception):
    """Something that a person can act on; the message says how."""
