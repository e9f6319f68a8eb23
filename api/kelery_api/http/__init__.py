"""The gateway's HTTP layer: bounded requests, problem documents, middleware."""
