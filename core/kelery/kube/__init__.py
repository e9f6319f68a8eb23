"""Reaching the Kubernetes API server: who we are there, and one session each for async and blocking code.

`kubeconfig` and `service_account` read `Credentials`, `exec_plugin` runs what a kubeconfig logs in with,
`login` keeps and renews them, `session` and `sync_session` send requests. It needs aiohttp and a YAML parser,
so nothing that is injected into a user's image imports it.
"""
