--[[
Outcome: how an attempt ends, and what follows: a final phase or the next attempt.

Invariant: a claim ends once, with one outcome. A staged outcome wins over a reported one, because the task's own
process staged it. The only exception is a task that was interrupted because its time was up.
]]

local ATTEMPTS_KEPT = 5

local WORKER_LOST = {
  kind = 'failed', reason = 'WorkerLost', error_type = 'WorkerLost',
  error = '{"type":"WorkerLost","message":"the worker stopped renewing its lease before the task ended",'
    .. '"traceback":""}',
}

-- The outcome in the arguments of `stage` and `settle`. A field that was not sent is nil, which means the same as ''.
local function read_outcome(args)
  local outcome = {}
  if tonumber(args[1]) <= 2 then
    -- Callers up to revision 2 send only the values, in the order of OUTCOME.
    for i, field in ipairs(OUTCOME) do outcome[field] = args[i + 3] end
  else
    for i = 4, #args, 2 do outcome[args[i]] = args[i + 1] end
  end
  return outcome
end

local function stage(args)
  local uid, fence = args[2], args[3]
  local run = claimed_run(uid, fence)
  if not run then return 'fenced' end
  local outcome, flat = read_outcome(args), { 'staged_fence', fence }
  -- Also the fields that were not sent, since an earlier outcome may be staged.
  for i, field in ipairs(OUTCOME) do
    flat[2 * i + 1], flat[2 * i + 2] = STAGED_OUTCOME[i], outcome[field] or ''
  end
  redis.call('HSET', run_key(uid), unpack(flat))
  return 'ok'
end

local function decisive_outcome(run, reported)
  if run.staged_fence ~= run.fence then return reported end
  local values, staged = redis.call('HMGET', run_key(run.uid), unpack(STAGED_OUTCOME)), {}
  for i, field in ipairs(OUTCOME) do staged[field] = values[i] end
  -- A body that returned has succeeded, no matter who stopped it since. A body that broke off because its time was up
  -- has timed out.
  if reported.reason == 'Timeout' and staged.kind ~= 'succeeded' then return reported end
  return staged
end

local function remember_attempt(run, reason, error_type)
  local attempts = prefix .. ':attempts:' .. run.uid
  redis.call('LPUSH', attempts, cjson.encode({
    attempt = run.attempt, reason = reason, type = error_type, worker = run.worker, fence = run.fence,
    started = run.started_at, finished = text(now),
  }))
  redis.call('LTRIM', attempts, 0, ATTEMPTS_KEPT - 1)
end

-- Keeps the slot: the run is Admitted, but not claimable before it is due.
local function back_off(run, delay_ms)
  unclaim(run)
  redis.call('HDEL', run_key(run.uid), 'staged_fence')
  change(run, {
    phase = 'Admitted', reason = 'RetryBackoff', attempt = text(tonumber(run.attempt) + 1), worker = '', nonce = '',
    due = text(now + delay_ms * 1000),
  })
  if delay_ms <= 0 then return dispatch(run) end
  schedule('retry', run.uid, now + delay_ms * 1000)
  announce(run)
end

local function may_retry(run, reason)
  if tonumber(run.task_retries) + 1 >= tonumber(run.max_attempts) then return false end
  return string.find(',' .. run.retry_on .. ',', ',' .. reason .. ',', 1, true) ~= nil
end

-- spec.retry: exponential, capped. After an error of the task, the next attempt starts from the message as submitted.
-- After a lost worker or a timeout it resumes what was under way, which may be one of Celery's own retries.
local function retry_by_spec(run, reason)
  local used = tonumber(run.task_retries)
  if reason == 'TaskError' then redis.call('HDEL', run_key(run.uid), 'retry_head', 'retry_tail') end
  change(run, { task_retries = text(used + 1) })
  back_off(run, math.min(tonumber(run.backoff_ms) * 2 ^ math.min(used, 40), tonumber(run.max_backoff_ms)))
end

local function conclude(run, reported)
  local outcome = decisive_outcome(run, reported)
  local error_json, error_type = outcome.error or '', outcome.error_type or ''
  if outcome.kind == 'succeeded' then
    remember_attempt(run, 'Completed', '')
    finish(run, 'Succeeded', 'Completed', { result = outcome.result or '' })
  elseif run.phase == 'Cancelling' then
    remember_attempt(run, run.cancel_reason, error_type)
    finish(run, 'Cancelled', run.cancel_reason, { error = error_json })
  elseif outcome.kind == 'retry' then
    remember_attempt(run, 'Retried', error_type)
    -- Without a message of its own, the next attempt uses the one that the run had.
    if (outcome.head or '') ~= '' then change(run, { retry_head = outcome.head, retry_tail = outcome.tail }) end
    return back_off(run, tonumber(outcome.delay_ms) or 0)
  elseif may_retry(run, outcome.reason) then
    remember_attempt(run, outcome.reason, error_type)
    return retry_by_spec(run, outcome.reason)
  else
    remember_attempt(run, outcome.reason, error_type)
    finish(run, 'Failed', outcome.reason, { error = error_json })
  end
  pump(run.key)
end

local function settle(args)
  local uid, fence = args[2], args[3]
  local run = load_run(uid)
  if not run then return { 'fenced', '', '' } end
  if run.fence ~= fence then return { 'fenced', run.phase, run.reason } end
  if not CLAIMED[run.phase] then return { 'already', run.phase, run.reason } end
  conclude(run, read_outcome(args))
  return { 'ok', run.phase, run.reason }
end

local function reclaim(args)
  local uid, fence, counter = args[2], args[3], args[4]
  if redis.call('HGET', prefix .. ':leases', uid) ~= fence .. ':' .. counter then return 'moved' end
  local run = claimed_run(uid, fence)
  if not run then return 'moved' end
  conclude(run, WORKER_LOST)
  return 'ok'
end
