"""The OpenAPI document is complete, and agrees with the CRD and with the routes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from kelery.settings import LedgerSettings
from kelery.taskrun.validation import is_name
from kelery_api.app import create_app
from kelery_api.models import TASK_NAME_FORM
from kelery_api.settings import ApiSettings, Auth


def document(auth: Auth) -> dict[str, Any]:
    settings = ApiSettings(ledger=LedgerSettings(redis_url="redis://127.0.0.1:1"), auth=auth)
    return create_app(settings, login=None).openapi()


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(Auth.KUBERNETES)


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_components_have_their_names(described: dict[str, Any]) -> None:
    names = {"TaskRun", "TaskRunSpec", "TaskRunStatus", "TaskRunList", "TaskOut", "Problem"}
    names |= {"Key", "KeyList", "Queue", "QueueList", "Worker", "WorkerList"}
    assert names <= described["components"]["schemas"].keys()
    assert not [name for name in described["components"]["schemas"] if name.endswith("ValidationError")]


def test_every_reference_resolves(described: dict[str, Any]) -> None:
    found = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(described)))
    assert found
    assert found <= described["components"]["schemas"].keys()


def test_every_operation_has_problems_a_tag_and_a_description(described: dict[str, Any]) -> None:
    for place, operation in operations(described):
        assert operation["tags"], place
        assert operation["description"], place
        assert {"500"} <= operation["responses"].keys(), place
        for status, answer in operation["responses"].items():
            assert "X-Request-ID" in answer["headers"], (place, status)
            if status >= "400" and "/readyz" not in place:
                assert list(answer["content"]) == ["application/problem+json"], (place, status)
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= operation["responses"].keys(), place


def test_names_of_operations_are_unique(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(described)]
    assert len(names) == len(set(names))


def test_every_operation_has_a_schema_for_its_json(described: dict[str, Any]) -> None:
    """Only a result can be any JSON value."""
    free = set()
    for place, operation in operations(described):
        assert any(status < "300" for status in operation["responses"]), place
        for status, response in operation["responses"].items():
            assert response["description"], (place, status)
            for media_type, content in response.get("content", {}).items():
                if media_type.endswith("json") and "$ref" not in content["schema"]:
                    free.add(place)
    assert free == {"get /v1/namespaces/{namespace}/taskruns/{id}/result"}


def test_security_follows_the_rules_of_the_routes(described: dict[str, Any]) -> None:
    open_to_all = {place for place, operation in operations(described) if operation["security"] == []}
    assert open_to_all == {"get /livez", "get /readyz"}
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for place, operation in operations(described):
        assert place in open_to_all or {"401", "403", "503"} <= operation["responses"].keys()


def test_without_authentication_the_document_has_no_security() -> None:
    described = document(Auth.NONE)
    assert "securitySchemes" not in described["components"]
    assert not [place for place, operation in operations(described) if "security" in operation]


def test_no_crd_keyword_that_is_not_json_schema_is_left(described: dict[str, Any]) -> None:
    assert "x-kubernetes" not in str(described)
    assert "nullable" not in str(described)


def test_every_example_matches_its_schema(described: dict[str, Any]) -> None:
    checked = 0
    for _, operation in operations(described):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for part in [*bodies, *operation["responses"].values()]:
            for content in part.get("content", {}).values():
                examples = [example["value"] for example in content.get("examples", {}).values()]
                examples += [content["example"]] if "example" in content else []
                for example in examples:
                    validator(described, content["schema"]).validate(example)
                    checked += 1
    for name, schema in described["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            validator(described, {"$ref": f"#/components/schemas/{name}"}).validate(example)
            checked += 1
    assert checked > 50


@pytest.mark.parametrize(
    ("spec", "good"),
    [
        ({"task": "demo.add", "queue": None, "retry": {"maxAttempts": 2, "reasons": None}}, True),
        ({"task": "demo.add", "args": [None, {"a": [1]}], "kwargs": {"x": None}}, True),
        ({"task": None}, False),
        ({"task": "two words"}, False),
        ({"task": "zero\u200bwidth"}, False),
        ({"task": "t", "unknown": 1}, False),
        ({"task": "t", "cancel": "Now"}, False),
        ({"task": "t", "concurrency": {"key": "k", "limit": 0}}, False),
        ({"task": "t", "retry": {"maxAttempts": 1, "reasons": ["Timeout", "Timeout"]}}, False),
    ],
)
def test_the_schema_of_a_spec_agrees_with_its_validation(
    described: dict[str, Any], spec: dict[str, Any], good: bool
) -> None:
    schema = {"$ref": "#/components/schemas/TaskRunSpec"}
    assert validator(described, schema).is_valid(spec) == good


def test_the_patterns_of_names_agree_with_their_validation() -> None:
    pattern = re.compile(TASK_NAME_FORM)
    # Characters unknown to this Python's Unicode version can have been assigned since.
    known = [chr(point) for point in range(0x110000) if unicodedata.category(chr(point)) not in ("Cn", "Cs")]
    assert [hex(ord(one)) for one in known if bool(pattern.fullmatch(one)) != is_name(one, longest=1)] == []


def validator(described: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": described["components"]})
