"""Settings as command options: one declaration holds the flag, variable, default, bounds and help text.

`kelery operator`, `kelery api` and `kelery worker` use them. A worker that `celery` starts reads only the
environment. Tests compare the tables of settings in the documentation with these declarations.

Invariant: the error for an invalid value is one sentence and names the flag or variable that was used. A
secret has no flag, because all users of a machine can read its command lines. No message shows a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from kelery.errors import SettingsError
from kelery.settings import Lease, LedgerSettings

_REDIS_SCHEMES = ("redis", "rediss", "unix")
_DEFAULTS = LedgerSettings(redis_url="")


class Setting(click.Option):
    """One setting: the flag, else the first variable that is not empty, else the default.

    Help texts are Markdown, as in the documentation. Terminals show them without backticks.
    """

    #: Joins the name and the error message. Messages of click's types begin with the value.
    joint = "="

    def __init__(self, flag: str, *variables: str, **attributes: Any) -> None:
        shown = {"show_default": True, "show_envvar": True}
        super().__init__([flag], envvar=variables, **{**shown, **attributes})
        self.variables = variables

    def read(self, environ: Mapping[str, str]) -> Any:
        """The value where no command line exists."""
        context = click.Command(None, params=[self]).make_context("kelery", [], obj=environ)
        return context.params[self.name]

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """An empty flag counts as not given, like an empty variable."""
        given = {name: value for name, value in opts.items() if value != ""}
        return super().consume_value(ctx, given)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """From the environment passed to `read`, else from that of the process."""
        return self._from_environment(ctx)[1] or None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Raises SettingsError if the value is invalid."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            given = ctx.get_parameter_source(self.name) is ParameterSource.COMMANDLINE
            name = self.opts[0] if given else self._from_environment(ctx)[0]
            raise SettingsError(f"{name}{self.joint}{error.message}") from None

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (record[0], _plain(record[1]))

    def _from_environment(self, ctx: click.Context) -> tuple[str, str]:
        environ: Mapping[str, str] = os.environ if ctx.obj is None else ctx.obj
        found = ((name, environ.get(name, "").strip()) for name in self.variables)
        return next(((name, text) for name, text in found if text), ("", ""))


class Secret(Setting):
    """A setting without a flag. Required, unless `show_default` names the fallback."""

    joint = " "

    def __init__(self, name: str, *variables: str, **attributes: Any) -> None:
        super().__init__(f"--{name}", *variables, hidden=True, **{"show_default": None, **attributes})

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Adds nothing: a secret has no flag."""


class Command(click.Command):
    """A command with settings. Its help lists the settings without a flag in a section of their own."""

    def __init__(
        self,
        *args: Any,
        settings: Sequence[Setting] = (),
        environment: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.params += settings
        self.environment = environment or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        secrets = [setting for setting in self.params if isinstance(setting, Secret)]
        shown = {", ".join(setting.variables): _help_of(setting) for setting in secrets}
        with formatter.section("Environment"):
            formatter.write_dl([(name, _plain(text)) for name, text in {**shown, **self.environment}.items()])


class Seconds(click.FloatRange):
    """Seconds within bounds. Click's own type accepts NaN in any range."""

    name = "seconds"

    def __init__(self, least: float, most: float) -> None:
        super().__init__(least, most)
        self._bounds = f"give {least} to {most}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number: {self._bounds}", param, ctx)
        assert self.min is not None
        assert self.max is not None
        if not self.min <= seconds <= self.max:
            self.fail(f"{value} is out of range: {self._bounds}", param, ctx)
        return seconds


class WholeSeconds(Seconds):
    """Whole seconds within bounds; fractions are dropped."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return int(super().convert(value, param, ctx))


def matching(*, fits: Callable[[str], object], what: str) -> Callable[[str], str]:
    """The type of texts that `fits` accepts. `what` describes them for the error message."""

    def text(value: str) -> str:
        if not fits(value):
            raise click.BadParameter(f"{value!r} cannot be used: give {what}")
        return value

    return text


def redis_url(value: str) -> str:
    """The type of Redis URLs. Its error message never shows the value."""
    if value.partition(":")[0].lower() not in _REDIS_SCHEMES:
        kinds = ", ".join(f"{scheme}://" for scheme in _REDIS_SCHEMES)
        raise click.BadParameter(
            f"must be the URL of the Redis that Celery's messages go through ({kinds}), such as"
            " redis://localhost:6379/0"
        )
    return value


def _is_prefix(text: str) -> bool:
    return len(text) <= 100 and not any(character.isspace() for character in text)


def _help_of(secret: Secret) -> str:
    absent = f"default: {secret.show_default}" if secret.show_default else "required"
    return f"{secret.help}  [{absent}]"


def _plain(text: str) -> str:
    return text.replace("`", "")


REDIS_URL = Secret(
    "redis_url",
    "KELERY_REDIS_URL",
    "REDIS_URL",
    type=redis_url,
    help="The Redis that holds the ledger and the Celery queues.",
)
PREFIX = Setting(
    "--prefix",
    "KELERY_PREFIX",
    type=matching(fits=_is_prefix, what="at most 100 characters without spaces"),
    default=_DEFAULTS.prefix,
    metavar="PREFIX",
    help="The prefix of all ledger keys. Use the same for the operator, gateways and workers.",
)
DEFAULT_QUEUE = Setting(
    "--default-queue",
    "KELERY_DEFAULT_QUEUE",
    default=_DEFAULTS.default_queue,
    metavar="NAME",
    help="The Celery queue of runs without `spec.queue`. Must equal the `task_default_queue` of the workers'"
    " app.",
)
BROKER_KEY_PREFIX = Setting(
    "--broker-key-prefix",
    "KELERY_BROKER_KEY_PREFIX",
    default=_DEFAULTS.broker_key_prefix,
    show_default="empty",
    metavar="PREFIX",
    help="The `global_keyprefix` in the workers' broker transport options, if it is set.",
)
LEASE_SECONDS = Setting(
    "--lease-seconds",
    "KELERY_LEASE_SECONDS",
    type=Seconds(3, 600),
    default=_DEFAULTS.lease.seconds,
    help="The lease of a worker's runs. Use the same for the operator, gateways and workers.",
)
LOG_FORMAT = Setting(
    "--log-format",
    "KELERY_LOG_FORMAT",
    type=click.Choice(["json", "text"], case_sensitive=False),
    default="json",
    help="The format of log lines.",
)
#: The settings that operator and gateway share.
CONTROL_PLANE = (REDIS_URL, PREFIX, DEFAULT_QUEUE, BROKER_KEY_PREFIX, LEASE_SECONDS, LOG_FORMAT)


def ledger_settings(values: Mapping[str, Any]) -> LedgerSettings:
    """The ledger settings of operator and gateway, from the values of CONTROL_PLANE."""
    if not values["redis_url"]:
        names = " or ".join(REDIS_URL.variables)
        raise SettingsError(f"set {names} to the Redis that Celery's messages go through")
    return LedgerSettings(
        redis_url=values["redis_url"],
        prefix=values["prefix"],
        default_queue=values["default_queue"],
        broker_key_prefix=values["broker_key_prefix"],
        lease=Lease(seconds=values["lease_seconds"]),
    )
