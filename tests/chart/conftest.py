"""Fixtures of the chart's tests: a real Helm renders the chart, and a real API server receives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kelery_dev.chart.helm_program import find_helm
from tests.chart.cases import CASES
from tests.support.helm import CHART, Helm, Manifest


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """Helm: found, or downloaded or built at its first use on a machine."""
    return find_helm()


@pytest.fixture(scope="session")
def helm(helm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """A Helm without a cluster."""
    return Helm(program=helm_program, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """The name of a set of values; each in turn."""
    return str(request.param)


@pytest.fixture
def rendered(helm: Helm, case: str) -> list[Manifest]:
    """The objects that the chart renders with these values."""
    return helm.template(CASES[case])


@pytest.fixture(scope="session")
def default_values() -> dict[str, Any]:
    """The content of values.yaml."""
    content = yaml.safe_load((CHART / "values.yaml").read_text())
    assert isinstance(content, dict)
    return content
