"""Authentication (TokenReview) and authorization (SubjectAccessReview) by the API server.

Invariant: a route without a rule cannot be created. A request that cannot be checked is rejected.
"""
