"""Finds the CRD and the admission policies, of which the chart has the only copy."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def chart_files() -> Path:
    """The folder with `crds/` and `policy/`: in the chart in a checkout, in this package in a wheel."""
    installed = _PACKAGE / "chart_files"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "charts" / "kelery" / "files"
