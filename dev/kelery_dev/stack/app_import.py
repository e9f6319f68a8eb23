"""Run as a program: import a Celery app as a worker would, and write down what the stack must know of it.

`python -m kelery_dev.stack.app_import APP ANSWER`: ANSWER is a file, since an app may print what it
likes. It gets a JSON object with the app's queues and tasks or, under "trouble", one sentence for the person
who wrote it. In a process of its own, because importing somebody's code may do anything.
"""

import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery
from celery.app.utils import find_app
from celery.utils.imports import import_from_cwd

_LONGEST_MESSAGE = 300


class NotLoadable(Exception):
    """The sentence that says why."""


def described(name: str) -> dict[str, Any]:
    """What the stack must know of an app; NotLoadable if there is no such app."""
    module = name.partition(":")[0]
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        raise NotLoadable(f"give the name of a module, {dotted}, and not a file")
    try:
        _import(module)
        app = _app(name)
        # As a worker does: modules that the app includes, or finds by itself, may have all of its tasks.
        app.loader.import_default_modules()
        options = app.conf.broker_transport_options or {}
        return {
            "default_queue": str(app.conf.task_default_queue),
            "queues": [str(queue) for queue in app.amqp.queues],
            "key_prefix": str(options.get("global_keyprefix") or ""),
            "tasks": [
                {"name": name, "required": _required(task.run)}
                for name, task in app.tasks.items()
                if not name.startswith("celery.")
            ],
        }
    except SyntaxError as error:
        where = f"{error.filename or module}, line {error.lineno}"
        raise NotLoadable(f"{where}: {error.msg}") from error
    except ModuleNotFoundError as error:
        missing = f"No module named {error.name!r}" if error.name else str(error)
        raise NotLoadable(f"{module} cannot be imported: {missing} in {sys.prefix}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, NotLoadable):
            raise
        raise NotLoadable(f"{module} cannot be imported: {_in_words(error)}") from error


def _import(module: str) -> None:
    """Import it, or what stands before its last dot: that may be an attribute."""
    try:
        import_from_cwd(module)
    except ModuleNotFoundError as error:
        if not error.name or not f"{module}.".startswith(f"{error.name}."):
            raise
        before = module.rpartition(".")[0]
        if before and error.name == module:
            _import(before)
            return
        raise _no_module(error.name) from error


def _no_module(name: str) -> NotLoadable:
    return NotLoadable(
        f"there is no module {name!r}, neither in {Path.cwd()} nor installed in {sys.prefix};"
        " give module or module:name, as in proj or proj.celery:app"
    )


def _app(name: str) -> Celery:
    """The app, as Celery's own -A finds it in a module that could be imported."""
    try:
        found = find_app(name)
    except ModuleNotFoundError as error:
        # Only what stands before the last dot is a module, and the rest is no attribute of it.
        raise _no_module(name) from error
    except AttributeError:
        found = None
    if not isinstance(found, Celery):
        raise NotLoadable(
            f"no Celery app is there: the module needs one, as in app = Celery({name.partition(':')[0]!r});"
            " module:name names one of several"
        )
    return found


def _required(function: Callable[..., Any]) -> list[str]:
    """The parameters that must be given; none are known of what has no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    any_number = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is inspect.Parameter.empty and parameter.kind not in any_number
    ]


def _in_words(error: BaseException) -> str:
    """The error on one line, with the place in the app's own code."""
    message = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_MESSAGE]
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__
        and not frame.filename.startswith(("<", sys.base_prefix + "/lib"))
        and "site-packages" not in frame.filename
    ]
    return f"{message} ({own[-1].filename}, line {own[-1].lineno})" if own else message


def main(arguments: list[str]) -> None:
    """Write the answer, and leave whatever the app has started behind."""
    name, answer = arguments
    try:
        content = described(name)
    except NotLoadable as trouble:
        content = {"trouble": str(trouble)}
    Path(answer).write_text(json.dumps(content))
    # An app may have threads that never end.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
