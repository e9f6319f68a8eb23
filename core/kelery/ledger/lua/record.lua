--[[
Record: a run's fields, and the two ways to change them.

Invariant: each change of phase or reason has a number of its own (`rev`), an entry in the run's history and one in the
stream, all written in the same step.
]]

local STREAM_LENGTH = 20000
local HISTORY_KEPT = 200

local FINAL = { Succeeded = true, Failed = true, Cancelled = true }
local CLAIMED = { Running = true, Cancelling = true }

-- The fields that decisions need. Each step reads all of them at once, so that no step sees half a run.
local DECIDING = {
  'phase', 'reason', 'cluster', 'ns', 'name', 'key', 'limit', 'policy', 'queue_key', 'attempt', 'task_retries',
  'max_attempts', 'backoff_ms', 'max_backoff_ms', 'retry_on', 'grace_ms', 'timeout_ms', 'fence', 'worker', 'nonce',
  'cancel', 'cancel_reason', 'begun_fence', 'staged_fence', 'admitted_seq', 'started_at', 'checks', 'pushed_at',
  'retain_ms', 'rev', 'origin', 'deleted', 'older_push',
}
-- What `view` answers, in this order.
local RECORD = {
  'phase', 'reason', 'rev', 'attempt', 'fence', 'worker', 'cluster', 'ns', 'name', 'origin', 'key', 'limit', 'queue',
  'task', 'queued_at', 'admitted_at', 'started_at', 'finished_at', 'due', 'cancel', 'cancel_reason', 'progress',
  'error', 'spec',
}
-- `view` adds these at the end for callers of revision 2 and later. Callers of revision 1 accept only what they know.
local RECORD_2 = { 'requester', 'cancel_message', 'deleted' }

-- How an attempt ended. The record keeps a staged outcome in fields with `staged_` in front.
local OUTCOME = { 'kind', 'reason', 'result', 'error', 'error_type', 'head', 'tail', 'delay_ms' }
local STAGED_OUTCOME = {}
-- Redis has no `ipairs` while it loads a library.
for i = 1, #OUTCOME do STAGED_OUTCOME[i] = 'staged_' .. OUTCOME[i] end

local function text(number) return string.format('%.0f', number) end

local function load_run(uid)
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

-- Alone, for a change that leaves phase and reason as they are.
local function notify(run)
  run.rev = text(redis.call('HINCRBY', run_key(run.uid), 'rev', 1))
  redis.call('XADD', prefix .. ':events', 'MAXLEN', '~', STREAM_LENGTH, '*', 'uid', run.uid, 'rev', run.rev,
    'phase', run.phase, 'reason', run.reason, 'cluster', run.cluster, 'key', run.key)
end

-- For a change of phase or reason.
local function announce(run)
  notify(run)
  local history = prefix .. ':history:' .. run.uid
  redis.call('RPUSH', history, table.concat({ run.rev, run.phase, run.reason, run.attempt, text(now) }, '|'))
  if tonumber(run.rev) > HISTORY_KEPT then redis.call('LTRIM', history, -HISTORY_KEPT, -1) end
end

local function schedule(kind, uid, due)
  redis.call('ZADD', prefix .. ':timers', text(due), kind .. '|' .. uid)
end

local function unschedule(uid, ...)
  for _, kind in ipairs({ ... }) do redis.call('ZREM', prefix .. ':timers', kind .. '|' .. uid) end
end

-- What stays of a deleted run until it is purged: enough to recognize it if it is submitted again.
local function strip(run)
  redis.call('HDEL', run_key(run.uid), 'spec', 'result', 'error', 'progress', 'requester', 'cancel_message')
  redis.call('DEL', prefix .. ':attempts:' .. run.uid, prefix .. ':history:' .. run.uid)
end
