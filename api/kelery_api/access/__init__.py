"""Who may do what: the API server says who asks (TokenReview) and whether they may (SubjectAccessReview).

Invariant: a route without a rule cannot be made, and what cannot be asked is not allowed.
"""
