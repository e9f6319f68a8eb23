-- The ledger's library as Redis loads it: its parts joined, in a language with these names and no others.
std = "none"
read_globals = { "cjson", "ipairs", "math", "pairs", "redis", "string", "table", "tonumber", "unpack" }
max_line_length = 120
