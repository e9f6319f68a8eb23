"""The ledger: who is admitted, decided in Redis and nowhere else.

`kelery_v1.lua` holds the functions, and its header is their reference. `commands` and `queries` describe
calls of them and parse the replies, without a connection. `sync_client` and `async_client` make the calls;
what both do is in `client`.
"""
