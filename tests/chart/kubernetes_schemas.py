"""Validate objects against the strict schemas of Kubernetes: an unknown field is an error.

The schemas are in the package kubernetes-validate, whose own `validate` reads all of them for each object.
`foreign_kinds.py` has schemas of other kinds.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.chart.foreign_kinds import FOREIGN_KINDS
from tests.support.helm import Manifest

#: The oldest release that Kelery supports, and the newest with schemas.
RELEASES = ("1.32.0", "1.37.0")


def faults(manifest: Manifest, *, release: str) -> list[str]:
    """The errors that a release of Kubernetes finds in an object."""
    kind, version = manifest["kind"], manifest["apiVersion"]
    own = FOREIGN_KINDS.get((version, kind))
    validator = Draft202012Validator(own) if own else _validator(kind, version=version, release=release)
    found = validator.iter_errors(manifest)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]


@cache
def _validator(kind: str, *, version: str, release: str) -> Draft202012Validator:
    # File names have `rbac-v1` for `rbac.authorization.k8s.io/v1`.
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", version)
    schema = _read(f"{kind.lower()}-{short}.json", release=release)
    return Draft202012Validator(schema, registry=_definitions(release))


@cache
def _definitions(release: str) -> Registry[Any]:
    resource: Resource[Any] = Resource.from_contents(_read("_definitions.json", release=release))
    return resource @ Registry()


def _read(name: str, *, release: str) -> Any:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{release}-local-strict"
    return json.loads((folder / name).read_text())
