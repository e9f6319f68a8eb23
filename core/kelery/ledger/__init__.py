"""The ledger: who is admitted, decided in Redis and nowhere else.

The folder `lua` holds the functions, and `library` joins its files; `functions.lua` and `keys.lua` are the
reference. `calls` says them and reads their answers without a connection; `sync` and `aio` carry the calls
over one.
"""
