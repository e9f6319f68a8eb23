"""A marked environment with a folder of its own, so that nothing a demo leaves behind goes unseen."""

from pathlib import Path

import pytest

from kelery_dev.control_plane.binaries import Binaries
from tests.support.marked_processes import Marked, marked

__all__ = ["Marked", "marked"]


@pytest.fixture
def environment(marked: Marked, tmp_path: Path, control_plane_binaries: Binaries) -> dict[str, str]:
    """For a process under test; its temporary files lie in the test's own folder."""
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
