"""The ledger: who is admitted, decided in Redis and nowhere else.

`kelery_v1.lua` holds the functions, and its header is their reference; `calls` says them and reads their
answers without a connection; `sync` and `aio` carry the calls over one.
"""
