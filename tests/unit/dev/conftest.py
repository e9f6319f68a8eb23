"""Folders with programs that only print a version."""

from pathlib import Path

import pytest

from tests.support.versioned_programs import VERSIONS, MakePrograms, program


@pytest.fixture
def make_programs() -> MakePrograms:
    """Fill a folder with the three programs; `without` leaves one out."""

    def make(folder: Path, *, without: str = "", **versions: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in VERSIONS:
            if name != without:
                (folder / name).write_bytes(program(name, version=versions.get(name, "")))
                (folder / name).chmod(0o755)
        return folder

    return make
