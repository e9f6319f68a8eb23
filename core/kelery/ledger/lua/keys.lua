--[[
Keys: the names of everything that the ledger keeps in Redis.

Invariant: a key starts with the prefix of the call, and this list is complete. Only the lists of the queues are not
the ledger's own: their names come from the submissions.

  :meta                HASH    seq (order of arrival), fence (the last one given), push (number of the last run message)
  :run:<uid>           HASH    the record; its fields are listed in record.lua
  :attempts:<uid>      LIST    the last five ended attempts, newest first, JSON objects of strings
  :history:<uid>       LIST    the last 200 changes of phase or reason, oldest first:
                               "<rev>|<phase>|<reason>|<attempt>|<microseconds>"
  :hold:<ns>/<key>     ZSET    uid of a run that holds a slot -> its limit
  :wait:<ns>/<key>     ZSET    uid of a run that waits -> (1000 - priority) * 2^42 + seq
  :leases              HASH    uid of a claimed run -> "<fence>:<renew counter>"; observers watch for a counter that
                               stands still
  :claims:<worker>     SET     uids that the worker claimed
  :timers              ZSET    "<kind>|<uid>" -> due, microseconds; kinds: queue, retry, redispatch, purge
  :live:<cluster>      SET     uids born in that cluster that are not final
  :final:<cluster>     SET     uids born in that cluster that are final, and whose last status its operator has not
                               acknowledged
  :ttl:<cluster>       ZSET    "<uid>|<namespace>|<name>" of finished TaskRuns -> when to delete them, seconds; the
                               operator reads and writes it without a function
  :runs:<ns>           ZSET    uid of a listed run -> when it was submitted, microseconds
  :names:<ns>          HASH    name -> uid of the newest run with that name, unless the name is the uid. When that run
                               is purged or deleted, the newest live run with the name follows. A final one does not:
                               a repeated DELETE by name must not hit another run. Such a run is found by its uid
  :namesakes:<ns>/<name>  ZSET uid of a live run whose name a newer run has taken -> order of arrival; rarely there
  :keys:<ns>           ZSET    "<ns>/<key>" -> 0, for each key with a holder or a waiting run
  :admitted:<ns>/<key> ZSET    uid -> order of admission, for every listed run of the key that was ever admitted; the
                               last one is the key's latest run
  :queues              HASH    queue -> its list, for the queues in use
  :workers             ZSET    worker -> when it last reported, microseconds
  :worker_info         HASH    worker -> what it reports about itself, JSON
  :events              STREAM  one entry for each change: uid, rev, phase, reason, cluster, key. A hint, and trimmed;
                               the record is the truth

Channel <prefix>:nudge:<worker>: the uid of one of that worker's runs that was cancelled.
]]

-- Both belong to the call under way: a function runs alone. `now` is the server's time in microseconds.
local prefix, now
local SECOND = 1000000

local function run_key(uid) return prefix .. ':run:' .. uid end
local function hold_key(key) return prefix .. ':hold:' .. key end
local function wait_key(key) return prefix .. ':wait:' .. key end
local function admitted_key(key) return prefix .. ':admitted:' .. key end
local function namesakes_key(ns, name) return prefix .. ':namesakes:' .. ns .. '/' .. name end

-- The first words of the keys above.
local OWN_KEYS = {
  meta = true, run = true, attempts = true, history = true, hold = true, wait = true, leases = true, claims = true,
  timers = true, live = true, final = true, ttl = true, runs = true, names = true, namesakes = true, keys = true,
  admitted = true, queues = true, workers = true, worker_info = true, events = true,
}

local function is_own_key(name)
  return string.sub(name, 1, #prefix + 1) == prefix .. ':' and OWN_KEYS[string.match(name, '^[%a_]*', #prefix + 2)]
end
