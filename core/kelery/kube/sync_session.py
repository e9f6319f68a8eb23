"""A blocking client of the API server, for command lines.

It needs only the standard library. Credentials, trust, answers and errors are those of `session`.
"""

from __future__ import annotations

import functools
import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from kelery.kube.answer import Answer, KubeError, answer_of
from kelery.kube.credentials import Credentials
from kelery.kube.kubeconfig import from_kubeconfig
from kelery.kube.login import Login

_REQUEST_SECONDS = 30.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would send the credentials to the other host."""

    def redirect_request(self, *_: Any) -> None:
        return None


class SyncSession:
    """Requests, each with its own connection. Thread-safe."""

    def __init__(self, login: Login, *, client_name: str = "kelery") -> None:
        """Logs in at once, so that an error shows before any work begins."""
        self.login = login
        self._client_name = client_name
        self._trust = (credentials := login.credentials()), credentials.trust()

    @classmethod
    def from_kubeconfig(
        cls, file: Path, *, context: str | None = None, unattended: bool = False
    ) -> SyncSession:
        """A session for `context` of a kubeconfig, or for its current context."""
        read = functools.partial(from_kubeconfig, [file], context=context, unattended=unattended)
        return cls(Login(read))

    @property
    def server(self) -> str:
        """The address of the API server."""
        return self._trust[0].server

    def request(
        self, method: str, *, path: str, body: object = None, content_type: str = "application/json"
    ) -> Answer:
        """Send one request; returns any answer. A 401 renews the credentials and retries once."""
        credentials = self.login.credentials()
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Accept": "application/json",
            "Content-Type": content_type,
            "User-Agent": self._client_name,
        }

        def send(credentials: Credentials) -> Answer:
            request = urllib.request.Request(
                credentials.server + path,
                method=method,
                headers={**credentials.headers(), **headers},
                data=data,
            )
            return self._answer(request, credentials)

        answer = send(credentials)
        if answer.status == 401 and (renewed := self.login.renew(refused=credentials)) is not credentials:
            answer = send(renewed)
        return answer

    def _answer(self, request: urllib.request.Request, credentials: Credentials) -> Answer:
        proxy = credentials.proxy_url
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=self._trust_of(credentials)),
            _NoRedirects(),
            # The credentials contain the proxy of the environment, if there is one.
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}),
        )
        try:
            try:
                response = opener.open(request, timeout=_REQUEST_SECONDS)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                retry_after = response.headers.get("Retry-After")
                return answer_of(response.status, response.read(), retry_after=retry_after)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise KubeError(
                f"the API server at {credentials.server} does not answer: {reason}", status=0
            ) from error

    def _trust_of(self, credentials: Credentials) -> ssl.SSLContext:
        made_for, trust = self._trust
        if made_for is not credentials:
            trust = trust if made_for.same_connection(credentials) else credentials.trust()
            self._trust = credentials, trust
        return trust
