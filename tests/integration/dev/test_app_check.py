"""The check of a Celery app before the stack starts; a real Python imports the apps."""

from pathlib import Path

import pytest

from kelery_dev.errors import DevError
from kelery_dev.stack.app_check import app_facts

APP = "from celery import Celery\n{name} = Celery('proj', broker='redis://elsewhere:6379/0')\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, like a user's project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trouble(app: str) -> str:
    """The error that says why the app cannot be loaded."""
    with pytest.raises(DevError) as caught:
        app_facts(app, variables={})
    return str(caught.value)


def test_an_apps_own_queues_and_key_prefix_are_found_whatever_it_prints(project: Path) -> None:
    settings = (
        "print('{}')\n"
        "app.conf.task_default_queue = 'proj-default'\n"
        "app.conf.task_queues = {'high': {}, 'low': {}}\n"
        "app.conf.broker_transport_options = {'global_keyprefix': 'p:'}\n"
    )
    (project / "proj.py").write_text(APP.format(name="app") + settings)
    found = app_facts("proj", variables={})
    assert (found.default, set(found.taken), found.key_prefix) == ("proj-default", {"high", "low"}, "p:")


def test_an_app_is_found_where_celery_finds_it(project: Path) -> None:
    (project / "proj").mkdir()
    (project / "proj" / "__init__.py").touch()
    (project / "proj" / "celery.py").write_text(APP.format(name="mine"))
    for name in ("proj", "proj.celery", "proj.celery:mine", "proj.celery.mine"):
        assert app_facts(name, variables={}).default == "celery"


def test_an_apps_own_tasks_are_found_with_what_each_must_be_given(project: Path) -> None:
    (project / "proj.py").write_text(
        APP.format(name="app")
        + "app.conf.include = ['more']\n"
        + "@app.task(name='proj.report', bind=True)\n"
        + "def report(self, tenant, pages=2, *rest, day, **more): ...\n"
    )
    (project / "more.py").write_text(
        "from celery import shared_task\n@shared_task(name='more.clean')\ndef clean(days=1): ...\n"
    )
    found = {task.name: task.required for task in app_facts("proj", variables={}).tasks}
    assert found == {"proj.report": ("tenant", "day"), "more.clean": ()}


def test_it_is_imported_with_the_workers_environment(project: Path) -> None:
    (project / "proj.py").write_text(
        "import os\n" + APP.format(name="app") + "app.conf.task_default_queue = os.environ['GIVEN']\n"
    )
    assert app_facts("proj", variables={"GIVEN": "seen"}).default == "seen"


def test_a_module_that_is_nowhere_is_named_with_the_way_to_write_it(project: Path) -> None:
    said = trouble("nowhere")
    assert said.startswith(f"--app nowhere: there is no module 'nowhere', neither in {project} nor installed")
    assert "give module or module:name" in said


def test_a_file_in_place_of_a_module_is_put_right(project: Path) -> None:
    (project / "proj.py").write_text(APP.format(name="app"))
    assert trouble("proj.py") == "--app proj.py: give the name of a module, such as proj, not a file"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\ny = (\n", r"proj.py, line 2: '(' was never closed"),
        ("import nowhere_at_all\n", "proj cannot be imported: No module named 'nowhere_at_all'"),
        ("\nraise ValueError('first\\nsecond')\n", "ValueError: first second ("),
        ("\nraise ValueError('x')\n", "proj.py, line 2)"),
        ("import sys\nsys.exit('bye')\n", "proj cannot be imported: SystemExit: bye"),
        ("import os\nos._exit(3)\n", "Python ended during the import (exit code 3)"),
        ("x = 1\n", "the module has no Celery app: add one, such as app = Celery('proj'), or name it"),
        ("app = 1\n", "the module has no Celery app"),
    ],
)
def test_the_cause_is_said_in_one_sentence(project: Path, code: str, words: str) -> None:
    (project / "proj.py").write_text(code)
    said = trouble("proj")
    assert words in said
    assert said.count("\n") <= 1


def test_threads_and_processes_that_an_import_starts_hold_nothing_up(project: Path) -> None:
    (project / "proj.py").write_text(
        APP.format(name="app")
        + "import subprocess, threading, time\n"
        + "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        + "subprocess.Popen(['sleep', '600'])\n"
    )
    assert app_facts("proj", variables={}).default == "celery"
