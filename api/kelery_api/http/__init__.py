"""HTTP as the gateway speaks it: bounded requests, problem documents, middleware."""
