#!lua name=kelery_v1
--[[
The ledger: the only place where Kelery decides who is admitted.

Every function is called as  FCALL kelery_v1_<name> 1 <prefix> <revision> <arguments...>  and runs atomically. <revision> is the
caller's own: a library that is older than its caller answers KELERY_OUTDATED, and the caller loads its own.

Invariants (A1, A3, A4, A5, A8 of the guarantees)
  - a run that is Admitted, Running or Cancelling and has a key is in that key's `hold`, and nowhere else; a Waiting one is in `wait`;
  - a run enters `hold` only in `pump`, and leaves it only in `finish`;
  - every function ends with no head of a `wait` that could be admitted;
  - what a worker says about a run counts only under the run's current fence; a final phase never changes.
Specs, messages, results and errors are opaque strings here: cjson would break large integers and empty arrays. No decision about
safety reads a clock; NOW (the server's TIME) only drives timers and cosmetic times.

Keys, all under <prefix>
  :meta                HASH    seq (order of arrival), fence (last one given), push (last message's number)
  :run:<uid>           HASH    the record; its fields are listed at RECORD and in `submit`
  :attempts:<uid>      LIST    the last five ended attempts, newest first, JSON objects of strings
  :history:<uid>       LIST    the last 200 changes of phase or reason, oldest first: "<rev>|<phase>|<reason>|<attempt>|<microseconds>"
  :hold:<ns>/<key>     ZSET    holder uid -> its limit
  :wait:<ns>/<key>     ZSET    waiter uid -> (1000 - priority) * 2^42 + seq
  :leases              HASH    claimed uid -> "<fence>:<renew counter>"; observers watch these stand still
  :claims:<worker>     SET     uids that worker claimed
  :timers              ZSET    "<kind>|<uid>" -> due, microseconds; kinds: queue, retry, redispatch, purge
  :live:<cluster>      SET     uids born in that cluster that are not final
  :final:<cluster>     SET     uids born in that cluster, final, whose last status is not yet acknowledged by its operator
  :ttl:<cluster>       ZSET    "<uid>|<namespace>|<name>" of finished TaskRuns -> when they are to be deleted, seconds; the operator's
                               own, without a function
  :runs:<ns>           ZSET    uid -> when it was submitted, microseconds; what is listed
  :names:<ns>          HASH    name -> uid of the newest run of that name, unless the name is the uid. If that run is purged or deleted,
                               the newest live run of the name follows; an older final one does not: a DELETE by name that is
                               repeated must not hit another run. Such a one is found by its uid
  :namesakes:<ns>/<name>  ZSET live runs whose name a newer run has taken -> order of arrival; hardly ever there
  :keys:<ns>           ZSET    "<ns>/<key>" -> 0, of the keys that somebody holds or waits for
  :admitted:<ns>/<key> ZSET    uid -> order of admission, of all runs of the key that ever were admitted and are listed; the last
                               one is the key's latest run
  :queues              HASH    queue -> its list, of the queues that were used of late
  :workers             ZSET    worker -> when it last said that it is there, microseconds
  :worker_info         HASH    worker -> what it says of itself, JSON
  :events              STREAM  one entry a change: uid, rev, phase, reason, cluster, key. A hint, trimmed; the record is the truth
Channel <prefix>:nudge:<worker>: a cancel for one of that worker's runs.

Functions                                                                                    reply
  revision                                                                                   integer
  submit <uid> <spec_hash> <born_reason> <field> <value> ...    idempotent on uid            {"new"|"existing", phase, reason, rev}
                                                                                             | {"no_room"|"name_taken", "", "", "0", uid in the way}
                                                                                             KELERY_CONFLICT if the hash differs
  claim <uid> <attempt> <worker> <nonce> [<push>]                                            {"ok", fence, timeout_ms, grace_ms, keyed, cancel}
                                                                                             | {"stale"} | {"final"} | {"gone"}
  renew <worker> <uid> <fence> ...                              {{"ok"|"graceful"|"force"|"fenced", ...}, {orphan uid, fence, ...}}
  stage <uid> <fence> <outcome...>                              keep an outcome until settle "ok" | "fenced"
  settle <uid> <fence> <outcome...>              a staged one wins, unless it timed out       {"ok"|"already"|"fenced", phase, reason}
  start <uid> <fence> <pid>                     once per claim, just before the task body    "ok" | "fenced" | "begun" | "cancelled"
  handback <uid> <fence>                                        claimed, never started       "ok" | "fenced" | "begun"
  progress <uid> <fence> <json>                                                              "ok" | "fenced"
  cancel <uid> <graceful|force> <reason> [<message>]                                         {"ok"|"unchanged", phase, reason} | {"gone"}
  delete <uid>                                                  out of sight, and cancelled  {"ok"|"unchanged", phase, reason} | {"gone"}
  reclaim <uid> <fence> <counter>                               compare-and-set on the lease "ok" | "moved"
  tick <want_leases 0|1>                                        due timers, at most 200      {done, {uid, lease, ...}}
  acknowledge <uid> <retain_ms>                                 its last status is written   "ok" | "live" | "gone"
  view <inline_bytes> <uid> ...                                 read only                    per run: {} or RECORD values, result_bytes, result, position,
                                                                                           attempts, held_by, RECORD_2 values; later revisions add to the end
  last_event                                                    read only                    id of the newest entry of :events, "0-0"
  present <worker> <json>                                       a worker is there            "ok"
  leave <worker>                                                and is not any more          "ok"
  workers                                                       read only                    {{worker, json, silent_ms, {uid, ...}}, ...}
  queues                                                        forgets those out of use     {{queue, messages, running}, ...}
`only_if`, the last field of a submit if it is there: "room" refuses a run whose key has no room (none free, or somebody waits),
"free_name" one whose name a live listed run has; words apart by a comma. What is refused leaves nothing behind.
What a delete does, and a cancel with the reason Deleted: the run is not listed any more and its name is free, at once. Its slot it
keeps until it has ended. What is deleted is then stripped of what it was told and what it said (a TaskRun when it is purged: its last
status may still be written), and a repeated submit is known as such until it is purged.
<outcome...> is  <succeeded|failed|retry> <reason> <result> <error> <error_type> <head> <tail> <delay_ms>
]]

local REVISION = 2
local P, NOW -- prefix and server time in microseconds of the call under way: a function runs alone

local FINAL = { Succeeded = true, Failed = true, Cancelled = true }
local HELD = { Admitted = true, Running = true, Cancelling = true }
local CLAIMED = { Running = true, Cancelling = true }
-- Born final with one of these: Cancelled; with any other: Failed.
local BORN_CANCELLED = { CancelledAtCreate = true, CancelledByUser = true }

-- The first words of our keys.
local OWN = {
  meta = true, run = true, attempts = true, history = true, hold = true, wait = true, leases = true, claims = true, timers = true,
  live = true, final = true, ttl = true, runs = true, names = true, namesakes = true, keys = true, admitted = true, queues = true,
  workers = true, worker_info = true, events = true,
}
-- What Celery's transport keeps under these names need not be there this moment; a list in its place ends every worker.
local TRANSPORTS = { unacked = true, unacked_index = true, unacked_mutex = true }
local TRANSPORTS_BEGIN = '_kombu.'

local PRIORITY_STEP = 2 ^ 42
local STREAM_LENGTH = 20000
local TICK_BATCH = 200
local ATTEMPTS_KEPT = 5
local HISTORY_KEPT = 200
local HOLDERS_SHOWN = 5
local SECOND = 1000000
local WORKER_FORGOTTEN = 3600 * SECOND
local REDISPATCH_FIRST, REDISPATCH_MAX, REDISPATCH_BUSY = 10 * SECOND, 300 * SECOND, 300 * SECOND

-- What decides; read whole at each step, so that no step sees half a run.
local DECIDING = {
  'phase', 'reason', 'cluster', 'ns', 'name', 'key', 'limit', 'policy', 'queue_key', 'attempt', 'task_retries', 'max_attempts',
  'backoff_ms', 'max_backoff_ms', 'retry_on', 'grace_ms', 'timeout_ms', 'fence', 'worker', 'nonce', 'cancel', 'cancel_reason',
  'begun_fence', 'staged_fence', 'admitted_seq', 'started_at', 'checks', 'pushed_at', 'retain_ms', 'rev', 'origin', 'deleted',
  'older_push',
}
-- What `view` answers, in this order; `result` only up to the caller's limit, `result_bytes` always.
local RECORD = {
  'phase', 'reason', 'rev', 'attempt', 'fence', 'worker', 'cluster', 'ns', 'name', 'origin', 'key', 'limit', 'queue', 'task',
  'queued_at', 'admitted_at', 'started_at', 'finished_at', 'due', 'cancel', 'cancel_reason', 'progress', 'error', 'spec',
}
-- And these at the end, to callers of revision 2 and later: the first revision's take no more than they know.
local RECORD_2 = { 'requester', 'cancel_message', 'deleted' }

local function text(n) return string.format('%.0f', n) end
local function run_key(uid) return P .. ':run:' .. uid end
local function hold_key(key) return P .. ':hold:' .. key end
local function wait_key(key) return P .. ':wait:' .. key end
local function admitted_key(key) return P .. ':admitted:' .. key end
local function namesakes_key(ns, name) return P .. ':namesakes:' .. ns .. '/' .. name end
local function fail(code, message) return redis.error_reply(code .. ' ' .. message) end

local function load(uid)
  local values = redis.call('HMGET', run_key(uid), unpack(DECIDING))
  if not values[1] then return nil end
  local run = { uid = uid }
  for i, field in ipairs(DECIDING) do run[field] = values[i] or '' end
  return run
end

local function change(run, fields)
  local flat = {}
  for field, value in pairs(fields) do
    run[field] = value
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  redis.call('HSET', run_key(run.uid), unpack(flat))
end

local function tell(run)
  run.rev = text(redis.call('HINCRBY', run_key(run.uid), 'rev', 1))
  redis.call('XADD', P .. ':events', 'MAXLEN', '~', STREAM_LENGTH, '*', 'uid', run.uid, 'rev', run.rev, 'phase', run.phase,
    'reason', run.reason, 'cluster', run.cluster, 'key', run.key)
end

local function announce(run)
  tell(run)
  local history = P .. ':history:' .. run.uid
  redis.call('RPUSH', history, table.concat({ run.rev, run.phase, run.reason, run.attempt, text(NOW) }, '|'))
  if tonumber(run.rev) > HISTORY_KEPT then redis.call('LTRIM', history, -HISTORY_KEPT, -1) end
end

local function schedule(kind, uid, due) redis.call('ZADD', P .. ':timers', text(due), kind .. '|' .. uid) end

local function unschedule(uid, ...)
  for _, kind in ipairs({ ... }) do redis.call('ZREM', P .. ':timers', kind .. '|' .. uid) end
end

-- Who names a queue may name anything that stands in Redis: our own keys are none, nor is what is no list.
local function is_queue(queue_key)
  if string.sub(queue_key, 1, #P + 1) == P .. ':' and OWN[string.match(queue_key, '^[%a_]*', #P + 2)] then return false end
  local kind = redis.call('TYPE', queue_key).ok
  return kind == 'list' or kind == 'none'
end

local function unclaim(run)
  redis.call('HDEL', P .. ':leases', run.uid)
  if run.worker ~= '' then redis.call('SREM', P .. ':claims:' .. run.worker, run.uid) end
end

-- The doorbell. The delivery tag names the attempt that it rings for, so a late copy of an older one is told apart. Its number is that
-- of the push among all: one that is older than its run rings for a purged run of the same uid, with other arguments perhaps.
local function push(run)
  local m = redis.call('HMGET', run_key(run.uid), 'retry_head', 'retry_tail', 'message_head', 'message_tail', 'queue')
  local head, tail = m[1] or m[3], m[2] or m[4]
  local number = text(redis.call('HINCRBY', P .. ':meta', 'push', 1))
  -- What was a queue when it was submitted may be none by now; that must not keep others' runs from ending. It is tried again.
  if is_queue(run.queue_key) then
    redis.call('LPUSH', run.queue_key, head .. run.uid .. ':' .. run.attempt .. ':' .. number .. tail)
    redis.call('HSET', P .. ':queues', m[5], run.queue_key)
  end
  change(run, { pushed_at = text(NOW) })
end

local function ring(run)
  change(run, { phase = 'Admitted', reason = 'WaitingForWorker', due = '', checks = '0' })
  push(run)
  schedule('redispatch', run.uid, NOW + REDISPATCH_FIRST)
  announce(run)
end

local function admit(run)
  change(run, { admitted_at = text(NOW), admitted_seq = text(redis.call('HINCRBY', P .. ':meta', 'seq', 1)) })
  if run.key ~= '' then redis.call('ZADD', admitted_key(run.key), run.admitted_seq, run.uid) end
  ring(run)
end

-- Strictly from the head: a head whose own smaller limit keeps it waiting is not overtaken.
local function pump(key)
  if key == '' then return end
  local wait, hold = wait_key(key), hold_key(key)
  while true do
    local uid = redis.call('ZRANGE', wait, 0, 0)[1]
    if not uid then return end
    local run = load(uid)
    local room = tonumber(run.limit)
    local smallest = redis.call('ZRANGE', hold, 0, 0, 'WITHSCORES')
    if smallest[1] then room = math.min(room, tonumber(smallest[2])) end
    if redis.call('ZCARD', hold) >= room then return end
    redis.call('ZREM', wait, uid)
    redis.call('ZADD', hold, run.limit, uid)
    admit(run)
  end
end

-- A live listed run of that name; nil if there is none. Who was not named has its uid for a name.
local function live_run_of_name(ns, name)
  if redis.call('ZSCORE', P .. ':runs:' .. ns, name) then
    local phase, its_name = unpack(redis.call('HMGET', run_key(name), 'phase', 'name'))
    if its_name == name and not FINAL[phase] then return name end
  end
  local newest = redis.call('HGET', P .. ':names:' .. ns, name)
  local phase = newest and redis.call('HGET', run_key(newest), 'phase')
  if phase and not FINAL[phase] then return newest end
  return redis.call('ZRANGE', namesakes_key(ns, name), -1, -1)[1]
end

local function list(run)
  redis.call('ZADD', P .. ':runs:' .. run.ns, text(NOW), run.uid)
  if run.name == run.uid then return end
  local names = P .. ':names:' .. run.ns
  local before = redis.call('HGET', names, run.name)
  if before then
    local phase, arrival = unpack(redis.call('HMGET', run_key(before), 'phase', 'seq'))
    if phase and not FINAL[phase] then redis.call('ZADD', namesakes_key(run.ns, run.name), arrival, before) end
  end
  redis.call('HSET', names, run.name, run.uid)
end

local function unlist(run)
  redis.call('ZREM', P .. ':runs:' .. run.ns, run.uid)
  if run.key ~= '' then redis.call('ZREM', admitted_key(run.key), run.uid) end
  local names, namesakes = P .. ':names:' .. run.ns, namesakes_key(run.ns, run.name)
  if redis.call('HGET', names, run.name) ~= run.uid then
    redis.call('ZREM', namesakes, run.uid)
    return
  end
  local follower = redis.call('ZPOPMAX', namesakes)[1]
  if follower then redis.call('HSET', names, run.name, follower) else redis.call('HDEL', names, run.name) end
end

-- What is left of a deleted run until it is purged: enough to know it again when it is submitted once more.
local function strip(run)
  redis.call('HDEL', run_key(run.uid), 'spec', 'result', 'error', 'progress', 'requester', 'cancel_message')
  redis.call('DEL', P .. ':attempts:' .. run.uid, P .. ':history:' .. run.uid)
end

local function forget(run)
  unlist(run)
  -- Else only who asks for the queues would have one forgotten that is out of use.
  if not is_queue(run.queue_key) or redis.call('LLEN', run.queue_key) == 0 then
    redis.call('HDEL', P .. ':queues', redis.call('HGET', run_key(run.uid), 'queue'))
  end
  redis.call('DEL', run_key(run.uid), P .. ':attempts:' .. run.uid, P .. ':history:' .. run.uid)
end

-- The one way to a final phase. Frees the slot; the caller pumps, since some callers free several before they do.
local function finish(run, phase, reason, extra)
  if run.key ~= '' then
    redis.call('ZREM', wait_key(run.key), run.uid)
    redis.call('ZREM', hold_key(run.key), run.uid)
    if redis.call('EXISTS', wait_key(run.key), hold_key(run.key)) == 0 then redis.call('ZREM', P .. ':keys:' .. run.ns, run.key) end
  end
  redis.call('ZREM', namesakes_key(run.ns, run.name), run.uid)
  unclaim(run)
  unschedule(run.uid, 'queue', 'retry', 'redispatch')
  local fields = extra or {}
  fields.phase, fields.reason, fields.finished_at, fields.due = phase, reason, text(NOW), ''
  change(run, fields)
  redis.call('HDEL', run_key(run.uid), 'message_head', 'message_tail', 'retry_head', 'retry_tail', 'staged_fence', 'staged_kind',
    'staged_reason', 'staged_result', 'staged_error', 'staged_error_type', 'staged_head', 'staged_tail', 'staged_delay_ms')
  redis.call('SREM', P .. ':live:' .. run.cluster, run.uid)
  if run.retain_ms == '' then
    redis.call('SADD', P .. ':final:' .. run.cluster, run.uid)
  else
    schedule('purge', run.uid, NOW + tonumber(run.retain_ms) * 1000)
  end
  announce(run)
  -- Of a TaskRun there may be a last status to be written still.
  if run.deleted == '1' and run.origin ~= 'TaskRun' then strip(run) end
end

-- mode: graceful | force, forward only; the first reason stays.
local function ask_to_stop(run, mode, reason)
  if run.phase == 'Running' then
    change(run, { phase = 'Cancelling', cancel = mode, cancel_reason = reason, reason = reason })
    announce(run)
  else
    change(run, { cancel = mode })
    tell(run)
  end
  redis.call('PUBLISH', P .. ':nudge:' .. run.worker, run.uid)
end

local function supersede_waiters(key)
  for _, uid in ipairs(redis.call('ZRANGE', wait_key(key), 0, -1)) do finish(load(uid), 'Cancelled', 'Superseded') end
end

-- Cancels the oldest holders until the rest and one more would fit; those already on their way out count as gone.
local function make_room(key, limit)
  local staying = {}
  for _, uid in ipairs(redis.call('ZRANGE', hold_key(key), 0, -1)) do
    local holder = load(uid)
    if holder.phase ~= 'Cancelling' then staying[#staying + 1] = holder end
  end
  table.sort(staying, function(a, b) return tonumber(a.admitted_seq) < tonumber(b.admitted_seq) end)
  local smallest = { [#staying + 1] = limit }
  for i = #staying, 1, -1 do smallest[i] = math.min(smallest[i + 1], tonumber(staying[i].limit)) end
  local first = 1
  while #staying - first + 2 > smallest[first] do
    local holder = staying[first]
    if holder.phase == 'Running' then ask_to_stop(holder, 'graceful', 'Superseded') else finish(holder, 'Cancelled', 'Superseded') end
    first = first + 1
  end
end

local function has_room(key, limit)
  if redis.call('ZCARD', wait_key(key)) > 0 then return false end
  local smallest = redis.call('ZRANGE', hold_key(key), 0, 0, 'WITHSCORES')
  if smallest[1] then limit = math.min(limit, tonumber(smallest[2])) end
  return redis.call('ZCARD', hold_key(key)) < limit
end

local function enqueue(run, priority, seq)
  local limit = tonumber(run.limit)
  if not has_room(run.key, limit) then
    if run.policy == 'Reject' then return finish(run, 'Failed', 'ConcurrencyRejected') end
    if run.policy == 'Replace' or run.policy == 'QueueLatest' then supersede_waiters(run.key) end
    if run.policy == 'Replace' then make_room(run.key, limit) end
  end
  redis.call('ZADD', wait_key(run.key), text((1000 - priority) * PRIORITY_STEP + seq), run.uid)
  redis.call('ZADD', P .. ':keys:' .. run.ns, 0, run.key)
  local before = run.rev
  pump(run.key)
  -- Admitted above: that was announced. Otherwise say that it waits.
  if redis.call('HGET', run_key(run.uid), 'rev') == before then announce(run) end
end

local function summary(word, run)
  local now = redis.call('HMGET', run_key(run.uid), 'phase', 'reason', 'rev')
  return { word, now[1], now[2], now[3] }
end

-- Why a submission with `only_if` is refused, and the run that it gives way to; nil if it is not. Who waits does so for a holder,
-- so where there is no room there is one.
local function in_the_way(a)
  if a[#a - 1] ~= 'only_if' then return end
  local said = {}
  for i = 5, #a, 2 do said[a[i]] = a[i + 1] end
  local only_if = ',' .. said.only_if .. ','
  if string.find(only_if, ',free_name,', 1, true) then
    local other = live_run_of_name(said.ns, said.name)
    if other then return 'name_taken', other end
  end
  if string.find(only_if, ',room,', 1, true) and said.key ~= '' and not has_room(said.key, tonumber(said.limit)) then
    return 'no_room', redis.call('ZRANGE', hold_key(said.key), 0, 0)[1]
  end
end

local NO_QUEUE = '{"type":"SpecInvalid","message":"spec.queue: something that is no queue has this name in Redis; give another",'
  .. '"traceback":""}'

local function submit(a)
  local uid, hash, born = a[2], a[3], a[4]
  local known = redis.call('HGET', run_key(uid), 'spec_hash')
  if known and known ~= hash then return fail('KELERY_CONFLICT', 'run ' .. uid .. ' was submitted before with another spec') end
  if known then return summary('existing', { uid = uid }) end
  local word, other = in_the_way(a)
  if word then return { word, '', '', '0', other } end
  local seq = redis.call('HINCRBY', P .. ':meta', 'seq', 1)
  redis.call('HSET', run_key(uid), 'spec_hash', hash, 'phase', 'Waiting', 'reason', 'WaitingForKey', 'attempt', '1', 'task_retries', '0',
    'rev', '0', 'queued_at', text(NOW), 'seq', text(seq), 'older_push', redis.call('HGET', P .. ':meta', 'push') or '0', unpack(a, 5))
  local run = load(uid)
  redis.call('SADD', P .. ':live:' .. run.cluster, uid)
  list(run)
  local queue = redis.call('HGET', run_key(uid), 'queue')
  local is_reserved = TRANSPORTS[queue] or string.sub(queue, 1, #TRANSPORTS_BEGIN) == TRANSPORTS_BEGIN
  if born == '' and (is_reserved or not is_queue(run.queue_key)) then
    born = 'SpecInvalid'
    redis.call('HSET', run_key(uid), 'error', NO_QUEUE)
  end
  if born ~= '' then
    finish(run, BORN_CANCELLED[born] and 'Cancelled' or 'Failed', born)
    return summary('new', run)
  end
  local wait_ms = tonumber(redis.call('HGET', run_key(uid), 'max_queue_ms') or '')
  if wait_ms then schedule('queue', uid, NOW + wait_ms * 1000) end
  if run.key == '' then
    admit(run)
  else
    enqueue(run, tonumber(redis.call('HGET', run_key(uid), 'priority')), seq)
  end
  return summary('new', run)
end

local function granted(run)
  return { 'ok', run.fence, run.timeout_ms, run.grace_ms, run.key ~= '' and '1' or '0', run.cancel }
end

local function claim(a)
  local uid, attempt, worker, nonce = a[2], a[3], a[4], a[5]
  local run = load(uid)
  if not run then return { 'gone' } end
  if FINAL[run.phase] then return { 'final' } end
  local same = run.attempt == attempt and run.worker == worker and run.nonce == nonce
  if CLAIMED[run.phase] and same then return granted(run) end
  if run.phase ~= 'Admitted' or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt then return { 'stale' } end
  if a[6] and tonumber(a[6]) <= (tonumber(run.older_push) or 0) then return { 'stale' } end
  local fence = text(redis.call('HINCRBY', P .. ':meta', 'fence', 1))
  change(run, { phase = 'Running', reason = 'Started', fence = fence, worker = worker, nonce = nonce, started_at = text(NOW) })
  redis.call('HDEL', run_key(uid), 'progress')
  redis.call('HSET', P .. ':leases', uid, fence .. ':1')
  redis.call('SADD', P .. ':claims:' .. worker, uid)
  unschedule(uid, 'queue', 'redispatch')
  announce(run)
  return granted(run)
end

local function current(uid, fence)
  local run = load(uid)
  if run and CLAIMED[run.phase] and run.fence == fence then return run end
end

local function renew(a)
  local worker, statuses, named = a[2], {}, {}
  for i = 3, #a, 2 do
    local uid, fence = a[i], a[i + 1]
    local run = current(uid, fence)
    if run and run.worker == worker then
      named[uid] = true
      local lease = redis.call('HGET', P .. ':leases', uid)
      local counter = tonumber(string.match(lease or '', ':(%d+)$') or '0') + 1
      redis.call('HSET', P .. ':leases', uid, fence .. ':' .. text(counter))
      statuses[#statuses + 1] = run.cancel ~= '' and run.cancel or 'ok'
    else
      statuses[#statuses + 1] = 'fenced'
    end
  end
  local orphans = {}
  for _, uid in ipairs(redis.call('SMEMBERS', P .. ':claims:' .. worker)) do
    local owner = redis.call('HMGET', run_key(uid), 'worker', 'fence')
    if owner[1] ~= worker then
      redis.call('SREM', P .. ':claims:' .. worker, uid)
    elseif not named[uid] then
      orphans[#orphans + 1] = uid
      orphans[#orphans + 1] = owner[2]
    end
  end
  return { statuses, orphans }
end

-- The task body asks before its first line: whatever a pool does with a job that it may have lost, one claim is one start (A4).
local function start(a)
  local run = current(a[2], a[3])
  if not run then return 'fenced' end
  if run.begun_fence == run.fence then return 'begun' end
  if run.phase == 'Cancelling' then return 'cancelled' end
  change(run, { begun_fence = run.fence, begun_pid = a[4] })
  return 'ok'
end

local function stage(a)
  local run = current(a[2], a[3])
  if not run then return 'fenced' end
  redis.call('HSET', run_key(run.uid), 'staged_fence', a[3], 'staged_kind', a[4], 'staged_reason', a[5], 'staged_result', a[6],
    'staged_error', a[7], 'staged_error_type', a[8], 'staged_head', a[9], 'staged_tail', a[10], 'staged_delay_ms', a[11])
  return 'ok'
end

local function outcome_of(run, said)
  if run.staged_fence ~= run.fence then return said end
  -- A body that returned has succeeded, whoever stops it since; a body that broke off because its time was up has timed out.
  local staged_kind = redis.call('HGET', run_key(run.uid), 'staged_kind')
  if said.reason == 'Timeout' and staged_kind ~= 'succeeded' then return said end
  local s = redis.call('HMGET', run_key(run.uid), 'staged_kind', 'staged_reason', 'staged_result', 'staged_error', 'staged_error_type',
    'staged_head', 'staged_tail', 'staged_delay_ms')
  return { kind = s[1], reason = s[2], result = s[3], error = s[4], error_type = s[5], head = s[6], tail = s[7], delay_ms = s[8] }
end

local function remember_attempt(run, reason, error_type)
  local attempts = P .. ':attempts:' .. run.uid
  redis.call('LPUSH', attempts, cjson.encode({ attempt = run.attempt, reason = reason, type = error_type, worker = run.worker,
    fence = run.fence, started = run.started_at, finished = text(NOW) }))
  redis.call('LTRIM', attempts, 0, ATTEMPTS_KEPT - 1)
end

-- Keeps the slot: Admitted, but not claimable before it is due.
local function back_off(run, delay_ms)
  unclaim(run)
  redis.call('HDEL', run_key(run.uid), 'staged_fence')
  change(run, { phase = 'Admitted', reason = 'RetryBackoff', attempt = text(tonumber(run.attempt) + 1), worker = '', nonce = '',
    due = text(NOW + delay_ms * 1000) })
  if delay_ms <= 0 then return ring(run) end
  schedule('retry', run.uid, NOW + delay_ms * 1000)
  announce(run)
end

local function may_retry(run, reason)
  if tonumber(run.task_retries) + 1 >= tonumber(run.max_attempts) then return false end
  return string.find(',' .. run.retry_on .. ',', ',' .. reason .. ',', 1, true) ~= nil
end

-- spec.retry: exponential, capped. An error of the task starts again from the message as submitted; a lost worker or a timeout
-- resumes what was under way, which may be one of Celery's own retries.
local function retry_by_spec(run, reason)
  local used = tonumber(run.task_retries)
  if reason == 'TaskError' then redis.call('HDEL', run_key(run.uid), 'retry_head', 'retry_tail') end
  change(run, { task_retries = text(used + 1) })
  back_off(run, math.min(tonumber(run.backoff_ms) * 2 ^ math.min(used, 40), tonumber(run.max_backoff_ms)))
end

local function conclude(run, said)
  local o = outcome_of(run, said)
  if o.kind == 'succeeded' then
    remember_attempt(run, 'Completed', '')
    finish(run, 'Succeeded', 'Completed', { result = o.result })
  elseif run.phase == 'Cancelling' then
    remember_attempt(run, run.cancel_reason, o.error_type)
    finish(run, 'Cancelled', run.cancel_reason, { error = o.error })
  elseif o.kind == 'retry' then
    remember_attempt(run, 'Retried', o.error_type)
    -- Without a message of its own it goes on from the one that it had.
    if o.head ~= '' then change(run, { retry_head = o.head, retry_tail = o.tail }) end
    return back_off(run, tonumber(o.delay_ms))
  elseif may_retry(run, o.reason) then
    remember_attempt(run, o.reason, o.error_type)
    return retry_by_spec(run, o.reason)
  else
    remember_attempt(run, o.reason, o.error_type)
    finish(run, 'Failed', o.reason, { error = o.error })
  end
  pump(run.key)
end

local function settle(a)
  local run = load(a[2])
  if not run then return { 'fenced', '', '' } end
  if run.fence ~= a[3] then return { 'fenced', run.phase, run.reason } end
  if not CLAIMED[run.phase] then return { 'already', run.phase, run.reason } end
  conclude(run, { kind = a[4], reason = a[5], result = a[6], error = a[7], error_type = a[8], head = a[9], tail = a[10], delay_ms = a[11] })
  return { 'ok', run.phase, run.reason }
end

local LOST = { kind = 'failed', reason = 'WorkerLost', result = '', error_type = 'WorkerLost',
  error = '{"type":"WorkerLost","message":"the worker stopped renewing its lease before the task ended","traceback":""}' }

local function reclaim(a)
  local uid, fence, counter = a[2], a[3], a[4]
  if redis.call('HGET', P .. ':leases', uid) ~= fence .. ':' .. counter then return 'moved' end
  local run = current(uid, fence)
  if not run then return 'moved' end
  conclude(run, LOST)
  return 'ok'
end

local function handback(a)
  local run = current(a[2], a[3])
  if not run then return 'fenced' end
  if run.begun_fence == run.fence then return 'begun' end
  if run.phase == 'Cancelling' then
    finish(run, 'Cancelled', run.cancel_reason)
    pump(run.key)
    return 'ok'
  end
  unclaim(run)
  change(run, { worker = '', nonce = '', started_at = '' })
  ring(run)
  return 'ok'
end

local function progress(a)
  local run = current(a[2], a[3])
  if not run then return 'fenced' end
  change(run, { progress = a[4] })
  tell(run)
  return 'ok'
end

local function stop(run, mode, reason, message)
  if FINAL[run.phase] then return 'unchanged' end
  if run.phase == 'Cancelling' and (run.cancel == 'force' or mode == run.cancel) then return 'unchanged' end
  if run.phase ~= 'Cancelling' and message and message ~= '' then redis.call('HSET', run_key(run.uid), 'cancel_message', message) end
  if CLAIMED[run.phase] then
    ask_to_stop(run, mode, reason)
  else
    finish(run, 'Cancelled', reason)
    pump(run.key)
  end
  return 'ok'
end

local function cancel(a)
  local run = load(a[2])
  if not run then return { 'gone' } end
  local reason = a[4]
  -- Its TaskRun is gone: there is nothing to be listed.
  if reason == 'Deleted' then unlist(run) end
  local word = stop(run, a[3], reason, a[5])
  return { word, run.phase, run.reason }
end

local function delete(a)
  local run = load(a[2])
  if not run then return { 'gone' } end
  if run.deleted == '1' then return { 'unchanged', run.phase, run.reason } end
  change(run, { deleted = '1' })
  unlist(run)
  if not FINAL[run.phase] then
    -- Who follows a run that is on its way out already learns of it all the same.
    if stop(run, 'graceful', 'Deleted') == 'unchanged' then tell(run) end
  elseif run.origin ~= 'TaskRun' then
    strip(run)
  end
  return { 'ok', run.phase, run.reason }
end

-- A message lost on its way is rung again. While the queue is not empty ours may just be waiting its turn: then only after long.
local function redispatch(run)
  local checks = tonumber(run.checks) + 1
  change(run, { checks = text(checks) })
  local age = NOW - tonumber(run.pushed_at)
  if not is_queue(run.queue_key) or redis.call('LLEN', run.queue_key) == 0 or age > REDISPATCH_BUSY * 2 ^ math.min(checks - 1, 10) then push(run) end
  schedule('redispatch', run.uid, NOW + math.min(REDISPATCH_FIRST * 2 ^ math.min(checks, 10), REDISPATCH_MAX))
end

local TIMERS = {
  queue = function(run)
    if run.phase ~= 'Waiting' and run.phase ~= 'Admitted' then return end
    finish(run, 'Failed', 'QueueTimeout')
    pump(run.key)
  end,
  retry = function(run) if run.phase == 'Admitted' and run.reason == 'RetryBackoff' then ring(run) end end,
  redispatch = function(run) if run.phase == 'Admitted' and run.reason == 'WaitingForWorker' then redispatch(run) end end,
  purge = function(run) if FINAL[run.phase] then forget(run) end end,
}

local function tick(a)
  local due = redis.call('ZRANGEBYSCORE', P .. ':timers', '-inf', text(NOW), 'LIMIT', 0, TICK_BATCH)
  for _, member in ipairs(due) do
    redis.call('ZREM', P .. ':timers', member)
    local kind, uid = string.match(member, '^(%a+)|(.*)$')
    local run = load(uid)
    if run then TIMERS[kind](run) end
  end
  return { #due, a[2] == '1' and redis.call('HGETALL', P .. ':leases') or {} }
end

local function acknowledge(a)
  local run = load(a[2])
  if not run then return 'gone' end
  if not FINAL[run.phase] then return 'live' end
  redis.call('SREM', P .. ':final:' .. run.cluster, run.uid)
  schedule('purge', run.uid, NOW + tonumber(a[3]) * 1000)
  return 'ok'
end

local function holders_shown(key)
  local names = {}
  for _, uid in ipairs(redis.call('ZRANGE', hold_key(key), 0, HOLDERS_SHOWN - 1)) do
    names[#names + 1] = redis.call('HGET', run_key(uid), 'name') or uid
  end
  return names
end

local function view_one(uid, inline_bytes, revision)
  local values = redis.call('HMGET', run_key(uid), unpack(RECORD))
  if not values[1] then return {} end
  for i = 1, #RECORD do values[i] = values[i] or '' end
  local size = redis.call('HSTRLEN', run_key(uid), 'result')
  local result = size <= inline_bytes and redis.call('HGET', run_key(uid), 'result') or ''
  local key, rank, holders = values[11], false, {}
  if values[1] == 'Waiting' and key ~= '' then
    rank = redis.call('ZRANK', wait_key(key), uid)
    holders = holders_shown(key)
  end
  local n = #RECORD
  values[n + 1], values[n + 2], values[n + 3] = text(size), result, rank and text(rank + 1) or '0'
  values[n + 4] = redis.call('LRANGE', P .. ':attempts:' .. uid, 0, -1)
  values[n + 5] = holders
  if revision >= 2 then
    for i, value in ipairs(redis.call('HMGET', run_key(uid), unpack(RECORD_2))) do values[n + 5 + i] = value or '' end
  end
  return values
end

local function view(a)
  local out = {}
  for i = 3, #a do out[#out + 1] = view_one(a[i], tonumber(a[2]), tonumber(a[1])) end
  return out
end

local function last_event()
  local events = P .. ':events'
  if redis.call('EXISTS', events) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', events)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end

local function present(a)
  redis.call('ZADD', P .. ':workers', text(NOW), a[2])
  redis.call('HSET', P .. ':worker_info', a[2], a[3])
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', P .. ':workers', '-inf', text(NOW - WORKER_FORGOTTEN), 'LIMIT', 0, 10)) do
    redis.call('ZREM', P .. ':workers', silent)
    redis.call('HDEL', P .. ':worker_info', silent)
  end
  return 'ok'
end

local function leave(a)
  redis.call('ZREM', P .. ':workers', a[2])
  redis.call('HDEL', P .. ':worker_info', a[2])
  return 'ok'
end

local function workers()
  local out = {}
  local seen = redis.call('ZRANGEBYSCORE', P .. ':workers', text(NOW - WORKER_FORGOTTEN), '+inf', 'WITHSCORES')
  for i = 1, #seen, 2 do
    local worker = seen[i]
    local info = redis.call('HGET', P .. ':worker_info', worker) or '{}'
    local silent_ms = text(math.floor((NOW - tonumber(seen[i + 1])) / 1000))
    out[#out + 1] = { worker, info, silent_ms, redis.call('SMEMBERS', P .. ':claims:' .. worker) }
  end
  return out
end

local function queues()
  local lists, running = {}, {}
  local used = redis.call('HGETALL', P .. ':queues')
  for i = 1, #used, 2 do lists[used[i]] = used[i + 1] end
  -- Between its message and its claim a run is seen in neither; so its queue may have been forgotten meanwhile.
  for _, uid in ipairs(redis.call('HKEYS', P .. ':leases')) do
    local queue, queue_key = unpack(redis.call('HMGET', run_key(uid), 'queue', 'queue_key'))
    running[queue] = (running[queue] or 0) + 1
    lists[queue] = queue_key
  end
  local out = {}
  for queue, queue_key in pairs(lists) do
    local messages = is_queue(queue_key) and redis.call('LLEN', queue_key) or 0
    if messages == 0 and not running[queue] then
      redis.call('HDEL', P .. ':queues', queue)
    else
      out[#out + 1] = { queue, text(messages), text(running[queue] or 0) }
    end
  end
  return out
end

local function register(name, body, flags)
  redis.register_function({
    function_name = 'kelery_v1_' .. name,
    callback = function(keys, args)
      if tonumber(args[1]) > REVISION then return fail('KELERY_OUTDATED', 'library revision ' .. REVISION) end
      local time = redis.call('TIME')
      P, NOW = keys[1], tonumber(time[1]) * SECOND + tonumber(time[2])
      return body(args)
    end,
    flags = flags,
  })
end

-- What frees or keeps a slot must work when memory is full; only new work is refused then.
local ALWAYS = { 'allow-oom' }
register('submit', submit, {})
register('stage', stage, ALWAYS)
register('progress', progress, {})
register('claim', claim, ALWAYS)
register('renew', renew, ALWAYS)
register('settle', settle, ALWAYS)
register('start', start, ALWAYS)
register('handback', handback, ALWAYS)
register('cancel', cancel, ALWAYS)
register('delete', delete, ALWAYS)
register('reclaim', reclaim, ALWAYS)
register('tick', tick, ALWAYS)
register('acknowledge', acknowledge, ALWAYS)
register('view', view, { 'no-writes' })
register('last_event', last_event, { 'no-writes' })
register('present', present, ALWAYS)
register('leave', leave, ALWAYS)
register('workers', workers, { 'no-writes' })
register('queues', queues, ALWAYS)
redis.register_function({ function_name = 'kelery_v1_revision', callback = function() return REVISION end, flags = { 'no-writes' } })
