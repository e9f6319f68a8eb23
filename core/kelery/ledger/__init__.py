"""The ledger: decides in Redis which runs are admitted.

The folder `lua` holds the functions, and `library` joins its files. `functions.lua` and `keys.lua` are the
reference. `commands` and `queries` describe calls and parse replies, without a connection. `sync_client` and
`async_client` make the calls; `client` holds the code of both.
"""
