"""The ledger: who is admitted, decided in Redis and nowhere else.

The folder `lua` holds the functions and `library` joins its files; `functions.lua` and `keys.lua` are the
reference. `commands` and `queries` describe calls of them and parse the replies, without a connection.
`sync_client` and `async_client` make the calls; what both do is in `client`.
"""
