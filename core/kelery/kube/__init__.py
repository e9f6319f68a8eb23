"""Access to the Kubernetes API server: credentials, and one session each for async and blocking code.

`kubeconfig` and `service_account` read `Credentials`, `exec_plugin` runs credential plug-ins, `login` keeps
and renews the credentials, `session` and `sync_session` send requests. The package needs aiohttp and a YAML
parser, so no code that is injected into a user's image imports it.
"""
