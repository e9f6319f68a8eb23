"""Where the chart's CRD and admission policy are: the only copy of them, in a checkout and in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def chart_files() -> Path:
    """The folder with `crds/` and `policy/`: the chart's in a checkout, inside this package in a wheel."""
    installed = _PACKAGE / "chart_files"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "charts" / "kelery" / "files"
