"""A program that imports a Celery app as a worker does, and writes its queues and tasks.

`python -m kelery_dev.stack.app_import APP ANSWER`: ANSWER is a file, since an app may print anything. The
program writes a JSON object with the app's queues and tasks or, under "trouble", one sentence for the user.
It is a process of its own, because imported code may do anything.
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
    """The app cannot be loaded; the message says why."""


def described(name: str) -> dict[str, Any]:
    """The queues and tasks of an app; NotLoadable if it cannot be loaded."""
    module = name.partition(":")[0]
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        raise NotLoadable(f"give the name of a module, such as {dotted}, not a file")
    try:
        _import(module)
        app = _app(name)
        # As a worker does: modules that the app includes or discovers may contain its tasks.
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
    """Import the module, or the part before its last dot: the rest may be an attribute."""
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
        " give module or module:name, such as proj or proj.celery:app"
    )


def _app(name: str) -> Celery:
    """The app that Celery's own -A finds in an imported module."""
    try:
        found = find_app(name)
    except ModuleNotFoundError as error:
        # Only the part before the last dot is a module, and the rest is not an attribute of it.
        raise _no_module(name) from error
    except AttributeError:
        found = None
    if not isinstance(found, Celery):
        raise NotLoadable(
            f"the module has no Celery app: add one, such as app = Celery({name.partition(':')[0]!r}),"
            " or name it as module:name"
        )
    return found


def _required(function: Callable[..., Any]) -> list[str]:
    """The required parameters; empty if the function has no signature."""
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
    """The error on one line, with its place in the app's code."""
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
    """Write the answer and exit at once."""
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
