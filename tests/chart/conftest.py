"""The chart's tests: rendered by a real Helm, installed into a real API server."""

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
    """Found, downloaded or built at the first use on a machine."""
    return find_helm()


@pytest.fixture(scope="session")
def helm(helm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """It knows no cluster."""
    return Helm(program=helm_program, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """The name of each set of values."""
    return str(request.param)


@pytest.fixture
def rendered(helm: Helm, case: str) -> list[Manifest]:
    """What the chart renders with them."""
    return helm.template(CASES[case])


@pytest.fixture(scope="session")
def default_values() -> dict[str, Any]:
    """values.yaml."""
    content = yaml.safe_load((CHART / "values.yaml").read_text())
    assert isinstance(content, dict)
    return content
