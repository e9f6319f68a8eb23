"""The one error of `kelery dev`: a sentence for the person at the terminal.

Everything below the command line raises `DevError` with text that names what failed and what to do; as a
`KeleryError` it is shown by the command line without a traceback.
"""

from kelery.errors import KeleryError


class DevError(KeleryError):
    """Something that a person can act on; the message says how."""
