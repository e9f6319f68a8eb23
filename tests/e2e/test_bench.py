"""`kelery bench --kubeconfig` on a real cluster: it measures, reports, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.figures import Figures
from tests.e2e.kubectl import Kubectl
from tests.e2e.release import Release
from tests.support.polling import poll_until


def test_taskruns_are_measured_beside_jobs(
    release: Release, kubectl: Kubectl, figures: Figures, tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    argv = [sys.executable, "-m", "kelery", "bench", "--quick", "--rounds", "1", "--json", str(file)]
    argv += ["--kubeconfig", str(kubectl.kubeconfig)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["size"] == "quick"
    assert found["cluster"]["task"] == "demo.hello"
    ratios = {(result["case"], result["figure"]): result for result in found["results"]}
    assert list(ratios) == [("job-latency", "p50"), ("job-throughput", "rate")]
    for (case, figure), result in ratios.items():
        figures.note(f"{case} {figure}, TaskRun", result["ours"][0], result["unit"])
        figures.note(f"{case} {figure}, Job", result["theirs"][0], result["unit"])
    # The goals are for an idle machine. This only checks that a task does not wait for a pod.
    assert ratios["job-latency", "p50"]["ratio"] < 0.1
    assert ratios["job-throughput", "rate"]["ratio"] > 5
    poll_until(
        lambda: not [name for name in _namespaces(kubectl) if name.startswith("kelery-bench-")],
        seconds=60,
        what="the benchmark's namespace to go",
        state=lambda: _namespaces(kubectl),
        every=0.5,
    )


def _namespaces(kubectl: Kubectl) -> list[str]:
    return [item["metadata"]["name"] for item in kubectl.items("namespaces")]
