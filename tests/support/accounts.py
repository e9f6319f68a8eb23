"""Service accounts of the real API server, with their tokens and RBAC rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from kelery.kube.credentials import Credentials
from kelery.kube.login import Login
from kelery_dev.control_plane.control_plane import ControlPlane
from tests.support.polling import poll_until
from tests.support.signed_token import with_claims

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"

Rule = Mapping[str, Sequence[str]]


def on_taskruns(*verbs: str) -> Rule:
    """A rule that allows these verbs on TaskRuns."""
    return {"apiGroups": ["kelery.dev"], "resources": ["taskruns"], "verbs": verbs}


def use_of(*tasks: str) -> Rule:
    """A rule that allows these tasks."""
    return {"apiGroups": ["kelery.dev"], "resources": ["tasks"], "verbs": ["use"], "resourceNames": tasks}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A service account."""

    plane: ControlPlane
    namespace: str
    name: str

    @property
    def user(self) -> str:
        """Its user name in RBAC."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def token(self, *audiences: str) -> str:
        """A token from TokenRequest for ten minutes, the minimum. Default audience: the API server."""
        spec = {"audiences": audiences or None, "expirationSeconds": 600}
        answer = self.plane.access().request("POST", path=f"{self._path}/token", body={"spec": spec})
        assert answer.status == 201, answer.message
        return str(answer.body["status"]["token"])

    def signed_token(self, **claims: object) -> str:
        """A token for the gateway with changed claims, signed with the API server's key."""
        key = self.plane.settings.api_server.folder / "service-account.key"
        return with_claims(self.token("kelery"), key=key, **claims)

    def allow(self, *rules: Rule, namespace: str = "") -> None:
        """Grant the rules with a Role in this namespace (default: the account's own)."""
        where = namespace or self.namespace
        self._bind(f"{_RBAC}/namespaces/{where}", kind="Role", rules=rules)

    def allow_everywhere(self, *rules: Rule) -> None:
        """Grant the rules with a ClusterRole."""
        self._bind(_RBAC, kind="ClusterRole", rules=rules)

    def wait_until_allowed(self, *, verb: str, namespace: str = "") -> None:
        """Wait until a new binding is in force. Without a namespace: in all namespaces."""
        attributes = {"group": "kelery.dev", "resource": "taskruns", "verb": verb, "namespace": namespace}
        self._wait({"resourceAttributes": attributes})

    def wait_until_allowed_path(self, path: str, *, verb: str) -> None:
        """As `wait_until_allowed`, for a non-resource path."""
        self._wait({"nonResourceAttributes": {"path": path, "verb": verb}})

    def bind_cluster_role(self, role: str) -> None:
        """Bind it to an existing ClusterRole."""
        self._post(f"{_RBAC}/clusterrolebindings", body=self._binding(role, kind="ClusterRole"))

    def login(self) -> Login:
        """Its credentials, for a client that renews its login."""
        return Login(self.credentials)

    def delete(self) -> None:
        """Delete it. Its tokens become invalid."""
        answer = self.plane.access().request("DELETE", path=self._path)
        assert answer.status == 200, answer.message

    def credentials(self) -> Credentials:
        """Credentials for the API server, with a new token."""
        return Credentials(
            server=self.plane.server, authority=self.plane.certificate.read_text(), token=self.token()
        )

    def create(self) -> Account:
        """Create it, and its namespace if that does not exist."""
        spaces = "/api/v1/namespaces"
        answer = self.plane.access().request("POST", path=spaces, body={"metadata": {"name": self.namespace}})
        assert answer.status in (201, 409), answer.message
        self._post(self._path.rpartition("/")[0], body={"metadata": {"name": self.name}})
        return self

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}"

    def _wait(self, attributes: Mapping[str, object]) -> None:
        groups = ["system:serviceaccounts", "system:authenticated"]
        body = {"spec": {"user": self.user, "groups": groups, **attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

        def look() -> bool:
            return bool(self.plane.access().request("POST", path=path, body=body).body["status"]["allowed"])

        poll_until(look, seconds=60, what=f"{self.user} to be allowed: {attributes}")

    def _bind(self, scope: str, *, kind: str, rules: Sequence[Rule]) -> None:
        name = f"{self.name}-{uuid4().hex[:8]}"
        self._post(f"{scope}/{kind.lower()}s", body={"metadata": {"name": name}, "rules": rules})
        self._post(f"{scope}/{kind.lower()}bindings", body=self._binding(name, kind=kind))

    def _binding(self, role: str, *, kind: str) -> dict[str, object]:
        subject = {"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}
        return {
            "metadata": {"name": f"{self.name}-{uuid4().hex[:8]}"},
            "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": role},
            "subjects": [subject],
        }

    def _post(self, path: str, *, body: Mapping[str, object]) -> None:
        answer = self.plane.access().request("POST", path=path, body=body)
        assert answer.status == 201, f"{path}: {answer.message}"


def new_account(plane: ControlPlane, *, namespace: str = "", name: str = "user") -> Account:
    """A service account without any rights, by default in its own namespace."""
    return Account(plane=plane, namespace=namespace or f"access-{uuid4().hex[:8]}", name=name).create()


def new_gateway_account(plane: ControlPlane) -> Account:
    """A gateway's account: it may only create token and access reviews."""
    account = new_account(plane, name="gateway")
    account.bind_cluster_role("system:auth-delegator")
    return account
