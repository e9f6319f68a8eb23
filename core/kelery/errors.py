"""Every error that Kelery raises on purpose, named by what it means for the caller.

KeleryError
├── InvalidInput            the caller's data is at fault: names the field and the fix
│   └── SpecTooLarge        nested or larger than a run may be
├── SettingsError           the environment is at fault: names the variable and the fix
└── LedgerError
    ├── LedgerUnavailable   Redis did not answer, or may not write: the same call may be made again
    ├── LedgerTooOld        Redis (or a library another version loaded) lacks what is needed
    └── RunConflict         the uid is taken by a run with another spec
"""

from __future__ import annotations


class KeleryError(Exception):
    """Base of all errors of Kelery."""


class InvalidInput(KeleryError):
    """A value that cannot be accepted; `field` is its path as users write it (`spec.concurrency.limit`)."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class SpecTooLarge(InvalidInput):
    """The spec is nested deeper, or is larger, than a run may be."""


class SettingsError(KeleryError):
    """The environment does not say what is needed, or says it wrongly."""


class LedgerError(KeleryError):
    """Something between us and the ledger."""


class LedgerUnavailable(LedgerError):
    """Redis did not answer in time or refused; its effect is not known, and calling again is safe."""


class LedgerTooOld(LedgerError):
    """The server lacks Redis Functions, or keeps an older ledger library than ours."""


class RunConflict(LedgerError):
    """A run with this uid exists and has another spec."""
