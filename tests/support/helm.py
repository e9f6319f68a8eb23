"""Helm for the tests: the real program, with its own folder for its files. Its output is parsed strictly."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "kelery"
RELEASE = "kelery"
NAMESPACE = "kelery-system"
#: APIs of a cluster with KEDA and the Prometheus operator. `helm template` does not know them by itself.
_EXTRA_APIS = ("keda.sh/v1alpha1", "monitoring.coreos.com/v1")
#: Without this, an older Helm renders for an older Kubernetes.
CLUSTER_OPTIONS = (
    *("--kube-version", "1.36.0"),
    *(part for api in _EXTRA_APIS for part in ("--api-versions", api)),
)

Manifest = dict[str, Any]
Values = Mapping[str, Any]


class StrictLoader(yaml.CSafeLoader):
    """Refuses duplicate keys in a map. Helm would silently keep one of them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = {key for key in keys if keys.count(key) > 1}
        assert not doubled, f"twice in one map: {doubled} at line {node.start_mark.line}"
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """The program, and a cache of what it rendered."""

    program: Path
    home: Path
    kubeconfig: Path | None = None
    #: The time limit of one command, longer than any `--timeout` that Helm is given.
    seconds: float = 120
    rendered: dict[str, list[Manifest]] = field(default_factory=dict, repr=False)

    def run(self, *arguments: str | Path, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        """Run Helm, with values if given. The caller checks the return code."""
        given = () if values is None else ("-f", "-")
        return subprocess.run(
            [self.program, *arguments, *given],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HELM_")},
                **{f"HELM_{kind}_HOME": str(self.home / kind) for kind in ("CACHE", "CONFIG", "DATA")},
                # Helm must not read this machine's own kubeconfig by accident.
                "KUBECONFIG": str(self.kubeconfig or self.home / "none"),
                # The process is short, and garbage collection takes a fifth of its time.
                "GOGC": "off",
            },
            input="" if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            timeout=self.seconds,
        )

    def template(
        self,
        values: Values | None = None,
        *,
        chart: Path = CHART,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
        options: Sequence[str] = (),
    ) -> list[Manifest]:
        """Every object that the chart renders with these values. Callers must not change them."""
        key = json.dumps([values or {}, str(chart), release, namespace, list(options)], sort_keys=True)
        if key not in self.rendered:
            done = self._template(values, chart=chart, release=release, namespace=namespace, options=options)
            assert done.returncode == 0, done.stderr
            documents = yaml.load_all(done.stdout, Loader=StrictLoader)
            self.rendered[key] = [document for document in documents if document]
        return self.rendered[key]

    def refusal(self, values: Values, *, namespace: str = NAMESPACE) -> str:
        """Helm's error for values that the chart must refuse."""
        done = self._template(values, chart=CHART, release=RELEASE, namespace=namespace, options=())
        assert done.returncode != 0, f"rendered, although it should be refused: {values}"
        return done.stderr

    def _template(
        self, values: Values | None, *, chart: Path, release: str, namespace: str, options: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        place = ("template", release, chart, "--namespace", namespace)
        return self.run(*place, *CLUSTER_OPTIONS, *options, values=values or {})
