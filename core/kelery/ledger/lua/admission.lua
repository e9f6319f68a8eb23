--[[
Admission: who holds a slot of a key.

Invariant (A1, A3, A8 of the guarantees)
  - a run that is Admitted, Running or Cancelling and has a key is in that key's `hold`, and nowhere else;
    a Waiting one is in `wait`;
  - a run enters `hold` only in `pump`, and leaves it only in `finish`;
  - every function ends with no head of a `wait` that could be admitted.
]]

local REDISPATCH_FIRST = 10 * SECOND

-- Makes an admitted run claimable.
local function dispatch(run)
  change(run, { phase = 'Admitted', reason = 'WaitingForWorker', due = '', checks = '0' })
  push_message(run)
  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)
  announce(run)
end

local function admit(run)
  change(run, { admitted_at = text(now), admitted_seq = text(redis.call('HINCRBY', prefix .. ':meta', 'seq', 1)) })
  if run.key ~= '' then redis.call('ZADD', admitted_key(run.key), run.admitted_seq, run.uid) end
  dispatch(run)
end

-- The smallest limit counts: that of a holder, or `limit`, which is the newcomer's.
local function has_free_slot(key, limit)
  local smallest = redis.call('ZRANGE', hold_key(key), 0, 0, 'WITHSCORES')
  if smallest[1] then limit = math.min(limit, tonumber(smallest[2])) end
  return redis.call('ZCARD', hold_key(key)) < limit
end

-- Strictly from the head: a head that waits because of its own smaller limit is not overtaken.
local function pump(key)
  if key == '' then return end
  while true do
    local uid = redis.call('ZRANGE', wait_key(key), 0, 0)[1]
    if not uid then return end
    local run = load_run(uid)
    if not has_free_slot(key, tonumber(run.limit)) then return end
    redis.call('ZREM', wait_key(key), uid)
    redis.call('ZADD', hold_key(key), run.limit, uid)
    admit(run)
  end
end

local function unclaim(run)
  redis.call('HDEL', prefix .. ':leases', run.uid)
  if run.worker ~= '' then redis.call('SREM', prefix .. ':claims:' .. run.worker, run.uid) end
end

-- The only way to a final phase. It frees the slot. The caller pumps, since some callers free several slots first.
local function finish(run, phase, reason, extra)
  if run.key ~= '' then
    redis.call('ZREM', wait_key(run.key), run.uid)
    redis.call('ZREM', hold_key(run.key), run.uid)
    if redis.call('EXISTS', wait_key(run.key), hold_key(run.key)) == 0 then
      redis.call('ZREM', prefix .. ':keys:' .. run.ns, run.key)
    end
  end
  redis.call('ZREM', namesakes_key(run.ns, run.name), run.uid)
  unclaim(run)
  unschedule(run.uid, 'queue', 'retry', 'redispatch')
  local fields = extra or {}
  fields.phase, fields.reason, fields.finished_at, fields.due = phase, reason, text(now), ''
  change(run, fields)
  redis.call('HDEL', run_key(run.uid), 'message_head', 'message_tail', 'retry_head', 'retry_tail', 'staged_fence',
    unpack(STAGED_OUTCOME))
  redis.call('SREM', prefix .. ':live:' .. run.cluster, run.uid)
  if run.retain_ms == '' then
    redis.call('SADD', prefix .. ':final:' .. run.cluster, run.uid)
  else
    schedule('purge', run.uid, now + tonumber(run.retain_ms) * 1000)
  end
  announce(run)
  -- The last status of a TaskRun may still have to be written.
  if run.deleted == '1' and run.origin ~= 'TaskRun' then strip(run) end
end
