"""A marked environment with its own folder, so that tests see everything that a demo leaves behind."""

from pathlib import Path

import pytest

from kelery_dev.control_plane.binaries import Binaries
from tests.support.marked_processes import Marked, marked

__all__ = ["Marked", "marked"]


@pytest.fixture
def environment(marked: Marked, tmp_path: Path, control_plane_binaries: Binaries) -> dict[str, str]:
    """The environment of a process under test. Its temporary files are in the test's own folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    inherited = {
        name: value
        for name, value in marked.environment.items()
        if not name.startswith("KELERY_") or name == "KELERY_TEST_MARK"
    }
    inherited.pop("KUBECONFIG", None)
    return {
        **inherited,
        "KUBEBUILDER_ASSETS": str(control_plane_binaries.folder),
        "TMPDIR": str(temporary),
    }
