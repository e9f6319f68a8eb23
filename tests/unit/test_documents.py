"""The documents say what is: links lead somewhere, names exist, manifests are valid, figures agree."""

import html
import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from fastapi.routing import APIRoute

from kelery.options import Command, Seconds, Secret, Setting
from kelery.run.phases import Reason
from kelery.settings import Lease
from kelery_api.access.rules import Rule, rule_of
from kelery_api.cli import api
from kelery_api.http.problems import Kind
from kelery_api.ops.metrics import Metrics
from kelery_api.routes import ROUTERS
from kelery_api.runs.requests import run_request
from kelery_dev.demo.examples import load_examples
from kelery_dev.documents import blocks, picture
from kelery_dev.documents.blocks import (
    IN_THE_BACKGROUND,
    ON_A_CLUSTER,
    TYPED,
    commands,
    commands_marked,
    marked_blocks,
    write_files,
)
from kelery_dev.documents.shell import type_into_a_shell
from kelery_dev.errors import DevError
from kelery_operator.cli import operator
from kelery_worker.cli import worker
from tests.support.typed_documents import (
    DOCS,
    DOCUMENTS,
    LAPTOP,
    ROOT,
    TYPED_IN_ORDER,
    TYPED_ON_A_CLUSTER,
    prints,
)

README = ROOT / "README.md"
DECISIONS = sorted((DOCS / "explanation" / "decisions").glob("[0-9]*.md"))
GUARANTEES = DOCS / "explanation" / "guarantees.md"
REFERENCE = DOCS / "reference"
GATEWAY = REFERENCE / "rest-api.md"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
BOTH_APIS = ROOT / "examples" / "both-apis"
CLUSTER = DOCS / "tutorial" / "cluster.md"
CRD = ROOT / "charts" / "kelery" / "files" / "crds" / "taskruns.kelery.dev.yaml"

#: `../../actions/` is a page of GitHub, seen from the README there.
_LINK = re.compile(r"\]\((?!https?://|\.\./\.\./actions/)([^)#]+)")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_PATH = re.compile(r"`((?:core|api|worker|operator|dev|tests|charts|docs|examples)/[\w./-]*)`")
_VARIABLE = re.compile(r"\bKELERY_[A-Z_]+\b")
_SHELL = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.M | re.S)
_YAML = re.compile(r"^ *```yaml\n(.*?)^ *```$", re.M | re.S)
#: Set inside of the programs, not by a person.
_INTERNAL = {"KELERY_RUN", "KELERY_CONFLICT", "KELERY_OUTDATED", "KELERY_READY_SECONDS"}


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_links_lead_to_files(document: Path) -> None:
    missing = [link for link in _LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_paths_and_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    assert [path for path in _PATH.findall(text) if not (ROOT / path).exists()] == []
    named = _TEST.findall(text)
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []


def test_every_guarantee_names_tests() -> None:
    sections = re.split(r"^## (?=A\d )", GUARANTEES.read_text(), flags=re.M)[1:]
    assert [section[:2] for section in sections] == [f"A{number}" for number in range(1, 9)]
    assert [section[:2] for section in sections if not _TEST.search(section)] == []


def test_the_readme_names_every_guarantee() -> None:
    assert re.findall(r"^- \*\*(A\d)\*\*", README.read_text(), flags=re.M) == [f"A{n}" for n in range(1, 9)]


@pytest.mark.parametrize("document", DECISIONS, ids=ids)
def test_a_decision_record_has_its_four_parts_and_fits_on_a_page(document: Path) -> None:
    text = document.read_text()
    parts = re.findall(r"^## (.+)$", text, flags=re.M)
    assert parts == ["Context", "Decision", "Alternatives", "Consequences"]
    assert len(text.splitlines()) <= 45
    assert text.startswith(f"# {int(document.name[:4])}. ")


def test_decision_records_are_numbered_without_a_gap() -> None:
    assert [int(document.name[:4]) for document in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_environment_variables_are_documented_and_exist() -> None:
    sources = [
        path
        for folder in ("core", "api", "worker", "operator", "dev", "bench")
        for path in (ROOT / folder).rglob("*.py")
    ]
    in_code = {name for path in sources for name in _VARIABLE.findall(path.read_text())} - _INTERNAL
    in_documents = {name for path in DOCUMENTS for name in _VARIABLE.findall(path.read_text())} - _INTERNAL
    assert in_code == in_documents


@pytest.mark.parametrize(
    ("document", "command"), [("operator.md", operator), ("rest-api.md", api), ("worker.md", worker)]
)
def test_the_table_of_settings_is_the_commands(document: str, command: Command) -> None:
    text = (REFERENCE / document).read_text()
    table = text.partition("| variable | flag | default | meaning |\n|---|---|---|---|\n")[2].partition(
        "\n\n"
    )[0]
    assert table.splitlines() == list(_rows_of_settings(command))


def _rows_of_settings(command: Command) -> Iterator[str]:
    """What only the environment sets comes first, as it does not in the command's help."""
    settings = [parameter for parameter in command.params if isinstance(parameter, Setting)]
    for setting in sorted(settings, key=lambda setting: not isinstance(setting, Secret)):
        names = ", else ".join(f"`{name}`" for name in setting.variables)
        flag = "" if isinstance(setting, Secret) else f" `{setting.opts[0]}`"
        yield f"| {names} |{flag} | {_default_of(setting)} | {setting.help} |"
    for name, meaning in command.environment.items():
        yield f"| `{name}` | | | {meaning} |"


def _default_of(setting: Setting) -> str:
    if isinstance(setting, Secret):
        return str(setting.show_default or "required")
    default = setting.show_default if isinstance(setting.show_default, str) else f"`{setting.default}`"
    if isinstance(setting.type, Seconds):
        return f"{default}, {setting.type.min} to {setting.type.max}"
    others = setting.type.choices if isinstance(setting.type, click.Choice) else ()
    return "".join([default, *(f", or `{other}`" for other in others if other != setting.default)])


def test_every_metric_is_documented_and_exists() -> None:
    source = (ROOT / "operator" / "kelery_operator" / "runtime" / "metrics.py").read_text()
    short = re.findall(r'self\._(?:counter|gauge)\(\s*"(\w+)"', source)
    whole = re.findall(r'"(kelery_operator_\w+)"', source)
    documented = set(
        re.findall(r"^\| `(kelery_operator_\w+)`", (REFERENCE / "operator.md").read_text(), re.M)
    )
    assert documented == {f"kelery_operator_{name}" for name in short} | set(whole)


def test_every_metric_of_the_gateway_is_documented_and_exists() -> None:
    documented = re.findall(r"^\| `(kelery_api_\w+)`", GATEWAY.read_text(), re.M)
    families = {family.name: family.type for family in Metrics().registry.collect()}
    assert set(documented) == {
        f"{name}_total" if kind == "counter" else name for name, kind in families.items()
    }


def test_every_problem_is_documented_with_its_status() -> None:
    table = GATEWAY.read_text().partition("\n## Errors\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", table, re.M)
    assert documented == [(kind.slug, str(kind.status)) for kind in Kind]


def test_every_path_of_the_gateway_is_documented_with_the_right_that_it_takes() -> None:
    table = GATEWAY.read_text().partition("\n## Paths\n")[2].partition("\n## ")[0]
    documented = {
        (method, path.replace("…", "/v1/namespaces/{namespace}")): right
        for paths, right in re.findall(r"^\| (`[^|]+`) \| ([^|]*?) ?\| ", table, re.M)
        for method, path in re.findall(r"`([A-Z]+) ([^`]+)`", paths)
    }
    served = {
        (method, route.path.replace(":path}", "}")): _in_words(rule_of(route.endpoint))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert documented == served


def _in_words(rule: Rule | None) -> str:
    assert rule is not None
    if rule.path:
        return f"{rule.verb} on the path `{rule.path}`"
    return f"{rule.verb or ''}{', in all namespaces' if rule.everywhere else ''}"


def test_the_timers_in_the_documents_are_the_codes() -> None:
    lease, text = Lease(), (REFERENCE / "worker.md").read_text()
    for row, seconds in (
        ("| L / 6 |", lease.renew_every),
        ("after the last successful renewal |", lease.self_fence),
        ("| 0.9 L |", lease.stand_still),
    ):
        assert f"{row} {seconds:g} s |" in text


def test_reasons_that_the_documents_name_exist() -> None:
    known = {reason.value for reason in Reason}
    for document in DOCUMENTS:
        for phase, reason in re.findall(r"(Failed|Cancelled|Admitted)/`?([A-Z]\w+)`?", document.read_text()):
            assert reason in known, f"{document.name}: {phase}/{reason}"


def test_make_targets_that_the_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in DOCUMENTS:
        for target in re.findall(
            r"^(?:\$ )?make (\w+)", "\n".join(_SHELL.findall(document.read_text())), re.M
        ):
            assert re.search(rf"^{target}:", makefile, re.M), f"{document.name}: make {target}"


def test_every_document_with_commands_to_type_is_typed() -> None:
    marks = {
        document: {block.mark for block in marked_blocks(document) if block.mark.startswith("run")}
        for document in DOCUMENTS
    }
    assert set().union(*marks.values()) <= {*TYPED, IN_THE_BACKGROUND, ON_A_CLUSTER}
    assert {document for document in marks if marks[document] & set(TYPED)} == set(TYPED_IN_ORDER)
    assert [document for document in marks if IN_THE_BACKGROUND in marks[document]] == [LAPTOP]
    assert {document for document in marks if ON_A_CLUSTER in marks[document]} == set(TYPED_ON_A_CLUSTER)
    assert {README, CLUSTER} <= set(TYPED_ON_A_CLUSTER)
    assert len(commands_marked(CLUSTER, ON_A_CLUSTER)) > 10


def test_every_file_that_a_document_shows_is_written(tmp_path: Path) -> None:
    shown = [
        block for document in DOCUMENTS for block in marked_blocks(document) if block.mark.startswith("file")
    ]
    assert len(write_files(TYPED_IN_ORDER, folder=tmp_path)) == len(shown)


#: What the workflow of the end-to-end tests does, under another tag.
_IMAGE = ["docker build -t kelery:0.1.0 .", "kind load docker-image kelery:0.1.0"]
#: Shell commands that no test types from the document, with the reason.
UNTYPED = {
    # The demo has a test of its own, and this is the suite.
    README: [
        "make demo",
        "make test",
        "docker build -t kelery:0.1.0 .",
        "kind load docker-image kelery:0.1.0",
    ],
    # What made the environment of the tests; and the plug-in's tests start workers in this way.
    LAPTOP: ["make setup", "pip install '.[worker]'", "celery -A proj worker -I kelery_worker"],
    CLUSTER: [
        "kind create cluster",
        *_IMAGE,
        "helm uninstall kelery --namespace kelery",
        "kind delete cluster",
    ],
}


@pytest.mark.parametrize("document", sorted({CLUSTER, *TYPED_IN_ORDER} - {GATEWAY}), ids=ids)
def test_every_shell_command_is_typed_by_a_test_or_listed_here(document: Path) -> None:
    typed = {block.text for block in marked_blocks(document) if block.mark.startswith("run")}
    others = [block for block in _SHELL.findall(document.read_text()) if block not in typed]
    lines = [line.partition("#")[0].strip() for block in others for line in block.splitlines()]
    assert lines == UNTYPED.get(document, [])


def test_the_picture_shows_the_tutorials_commands() -> None:
    drawn = html.unescape(picture.PICTURE.read_text()).replace("\N{NO-BREAK SPACE}", " ")
    shown = commands_marked(picture.TUTORIAL, blocks.FOR_THE_PICTURE)
    assert len(shown) > 5
    assert [command.line for command in shown if command.line not in drawn] == []


def test_a_picture_loads_nothing_from_the_network_and_keeps_every_word() -> None:
    line, output = "kubectl get taskruns", "NAME   PHASE\nmonday   Running   <1>"
    drawn = picture.svg([blocks.Command(line=line, output=output)])
    for text in (drawn, picture.PICTURE.read_text()):
        assert not re.search(r"@font-face|@import|url\((?!#)|href", text)
    shown = html.unescape(re.sub(r"<[^>]+>", "", drawn)).replace("\N{NO-BREAK SPACE}", " ")
    assert all(words in shown for words in (f"$ {line}", "NAME   PHASE", "monday   Running   <1>"))


def manifests() -> Iterator[Any]:
    """Every TaskRun that a person may copy: the examples, and those in the documents."""
    for file in (*EXAMPLES, *sorted(BOTH_APIS.glob("*.yaml"))):
        for document in yaml.safe_load_all(file.read_text()):
            yield pytest.param(document, id=f"{file.name}-{document['metadata']['name']}")
    for path in DOCUMENTS:
        for text in (text for text in _YAML.findall(path.read_text()) if "kind: TaskRun" in text):
            for document in yaml.safe_load_all(textwrap.dedent(text)):
                if isinstance(document, dict) and document.get("kind") == "TaskRun":
                    yield pytest.param(document, id=f"{ids(path)}-{document['metadata'].get('name')}")


@pytest.mark.parametrize("manifest", list(manifests()))
def test_a_manifest_is_one_that_the_crd_takes(manifest: dict[str, Any]) -> None:
    [version] = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    assert manifest["apiVersion"] == "kelery.dev/v1alpha1"
    assert manifest["kind"] == "TaskRun"
    jsonschema.validate(manifest, closed(version["schema"]["openAPIV3Schema"]))


@pytest.mark.parametrize("file", sorted(BOTH_APIS.glob("*.json")), ids=ids)
def test_a_body_of_the_examples_is_one_that_the_gateway_takes(file: Path) -> None:
    assert run_request(json.loads(file.read_text())).spec.task.startswith("demo.")


@pytest.mark.parametrize("document", sorted({*TYPED_IN_ORDER} - {GATEWAY}), ids=ids)
def test_every_yaml_block_of_a_guide_is_marked(document: Path) -> None:
    marked = [block for block in marked_blocks(document) if block.language == "yaml"]
    assert len(marked) == document.read_text().count("```yaml")


@pytest.mark.parametrize("file", EXAMPLES, ids=ids)
def test_an_example_tells_a_reader_how_it_ends(file: Path) -> None:
    [example] = load_examples([file])
    comments = "\n".join(line for line in file.read_text().splitlines() if line.startswith("#"))
    for run in example.runs:
        assert run.phase.value in comments
        assert run.reason in comments
        if run.cancel:
            patch = f'{{"spec":{{"cancel":"{run.cancel.value}"}}}}'
            assert f"kubectl patch taskrun {run.name} --type merge -p '{patch}'" in comments


def test_a_marked_block_is_read_as_it_is_written(tmp_path: Path) -> None:
    document = tmp_path / "some.md"
    document.write_text("Text\n\n<!-- run -->\n```console\n$ one\nx  1s\ny\n$ two\n```\n\n```sh\nno\n```\n")
    [block] = marked_blocks(document)
    one, two = commands(block)
    assert (one.line, one.output, two.line, two.output) == ("one", "x  1s\ny", "two", "")
    assert prints("x ...\ny", actual="x 2s\ny")
    assert not prints("x ...\ny", actual="x 2s\nz")
    assert not prints("", actual="something")
    assert prints("x ... y", actual="x y")
    assert not prints("x ... y", actual="xy")
    assert prints("x 2s", actual="x 1m30s")
    assert not prints("x 2s", actual="x y")


def test_a_shell_types_one_command_after_the_other_and_names_what_failed(tmp_path: Path) -> None:
    typed = [blocks.Command(line=line, output="") for line in ("word=hello", "echo $word", "cd /; pwd")]
    environment = {"PATH": os.environ["PATH"]}
    assert type_into_a_shell(typed, cwd=tmp_path, environment=environment) == ["", "hello", "/"]
    failing = [blocks.Command(line="echo before; false", output="")]
    with pytest.raises(DevError, match="before"):
        type_into_a_shell(failing, cwd=tmp_path, environment=environment)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The CRD's schema with unknown fields refused, as kubectl refuses them."""
    result = {key: value for key, value in schema.items() if not key.startswith("x-") and key != "nullable"}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {}
    if "properties" in schema:
        result["properties"] = {name: closed(child) for name, child in schema["properties"].items()}
        result["additionalProperties"] = False
    elif schema.get("type") == "object":
        result.pop("additionalProperties", None)
    if "items" in schema:
        result["items"] = closed(schema["items"])
    return result
