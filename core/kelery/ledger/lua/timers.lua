--[[
Timers: queue timeouts, the end of a back-off, lost messages, and the purge of old records.

Invariant: a timer acts only on a run that is still in the state for which it was set. No timer decides that a worker is
dead.
]]

local TICK_BATCH = 200
local REDISPATCH_MAX, REDISPATCH_BUSY = 300 * SECOND, 300 * SECOND

-- Pushes a message again that may have been lost. While the queue is not empty, the message may still be in it. Then
-- the pause is long.
local function redispatch(run)
  local checks = tonumber(run.checks) + 1
  change(run, { checks = text(checks) })
  local age = now - tonumber(run.pushed_at)
  local long = REDISPATCH_BUSY * 2 ^ math.min(checks - 1, 10)
  if queue_length(run.queue_key) == 0 or age > long then push_message(run) end
  schedule('redispatch', run.uid, now + math.min(REDISPATCH_FIRST * 2 ^ math.min(checks, 10), REDISPATCH_MAX))
end

local function purge(run)
  unlist(run)
  -- An unused queue is forgotten here too. Otherwise only a call of `queues` would do it.
  if queue_length(run.queue_key) == 0 then
    redis.call('HDEL', prefix .. ':queues', redis.call('HGET', run_key(run.uid), 'queue'))
  end
  redis.call('DEL', run_key(run.uid), prefix .. ':attempts:' .. run.uid, prefix .. ':history:' .. run.uid)
end

local TIMERS = {
  queue = function(run)
    if run.phase ~= 'Waiting' and run.phase ~= 'Admitted' then return end
    finish(run, 'Failed', 'QueueTimeout')
    pump(run.key)
  end,
  retry = function(run)
    if run.phase == 'Admitted' and run.reason == 'RetryBackoff' then dispatch(run) end
  end,
  redispatch = function(run)
    if run.phase == 'Admitted' and run.reason == 'WaitingForWorker' then redispatch(run) end
  end,
  purge = function(run)
    if FINAL[run.phase] then purge(run) end
  end,
}

local function tick(args)
  local want_leases = args[2] == '1'
  local due = redis.call('ZRANGEBYSCORE', prefix .. ':timers', '-inf', text(now), 'LIMIT', 0, TICK_BATCH)
  for _, member in ipairs(due) do
    redis.call('ZREM', prefix .. ':timers', member)
    local kind, uid = string.match(member, '^(%a+)|(.*)$')
    local run = load_run(uid)
    if run then TIMERS[kind](run) end
  end
  return { #due, want_leases and redis.call('HGETALL', prefix .. ':leases') or {} }
end

local function acknowledge(args)
  local uid, retain_ms = args[2], args[3]
  local run = load_run(uid)
  if not run then return 'gone' end
  if not FINAL[run.phase] then return 'live' end
  redis.call('SREM', prefix .. ':final:' .. run.cluster, uid)
  schedule('purge', uid, now + tonumber(retain_ms) * 1000)
  return 'ok'
end
