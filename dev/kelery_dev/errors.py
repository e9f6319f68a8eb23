"""The error of `kelery dev` and `kelery bench`, with a message for the user.

The message names what failed and what to do. The command line shows it without a traceback, because it is a
`KeleryError`.
"""

from kelery.errors import KeleryError


class DevError(KeleryError):
    """A failure that the user can fix; the message says how."""
