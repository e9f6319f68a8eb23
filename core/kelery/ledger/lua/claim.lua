--[[
Claim: a worker takes an admitted attempt, keeps its lease alive, and runs it.

Invariant (A4, A5 of the guarantees): each claim has a fence that is higher than every earlier one. What a worker
reports about a run counts only with the run's current fence. One claim starts the task body at most once.
]]

local function granted(run)
  return { 'ok', run.fence, run.timeout_ms, run.grace_ms, run.key ~= '' and '1' or '0', run.cancel }
end

local function claim(args)
  local uid, attempt, worker, nonce, push = args[2], args[3], args[4], args[5], args[6]
  local run = load_run(uid)
  if not run then return { 'gone' } end
  if FINAL[run.phase] then return { 'final' } end
  local same = run.attempt == attempt and run.worker == worker and run.nonce == nonce
  if CLAIMED[run.phase] and same then return granted(run) end
  if run.phase ~= 'Admitted' or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt then return { 'stale' } end
  if push and tonumber(push) <= (tonumber(run.older_push) or 0) then return { 'stale' } end
  local fence = text(redis.call('HINCRBY', prefix .. ':meta', 'fence', 1))
  change(run, {
    phase = 'Running', reason = 'Started', fence = fence, worker = worker, nonce = nonce, started_at = text(now),
  })
  redis.call('HDEL', run_key(uid), 'progress')
  redis.call('HSET', prefix .. ':leases', uid, fence .. ':1')
  redis.call('SADD', prefix .. ':claims:' .. worker, uid)
  unschedule(uid, 'queue', 'redispatch')
  announce(run)
  return granted(run)
end

-- The run, if `fence` is that of its claim; else nil.
local function claimed_run(uid, fence)
  local run = load_run(uid)
  if run and CLAIMED[run.phase] and run.fence == fence then return run end
end

local function renew(args)
  local worker, statuses, named = args[2], {}, {}
  for i = 3, #args, 2 do
    local uid, fence = args[i], args[i + 1]
    local run = claimed_run(uid, fence)
    if run and run.worker == worker then
      named[uid] = true
      local lease = redis.call('HGET', prefix .. ':leases', uid)
      local counter = tonumber(string.match(lease or '', ':(%d+)$') or '0') + 1
      redis.call('HSET', prefix .. ':leases', uid, fence .. ':' .. text(counter))
      statuses[#statuses + 1] = run.cancel ~= '' and run.cancel or 'ok'
    else
      statuses[#statuses + 1] = 'fenced'
    end
  end
  local orphans = {}
  for _, uid in ipairs(redis.call('SMEMBERS', prefix .. ':claims:' .. worker)) do
    local owner, fence = unpack(redis.call('HMGET', run_key(uid), 'worker', 'fence'))
    if owner ~= worker then
      redis.call('SREM', prefix .. ':claims:' .. worker, uid)
    elseif not named[uid] then
      orphans[#orphans + 1] = uid
      orphans[#orphans + 1] = fence
    end
  end
  return { statuses, orphans }
end

-- Asked just before the first line of the task body: one claim is one start, even if the pool delivers a job twice.
local function start(args)
  local uid, fence, pid = args[2], args[3], args[4]
  local run = claimed_run(uid, fence)
  if not run then return 'fenced' end
  if run.begun_fence == run.fence then return 'begun' end
  if run.phase == 'Cancelling' then return 'cancelled' end
  change(run, { begun_fence = run.fence, begun_pid = pid })
  return 'ok'
end

local function handback(args)
  local uid, fence = args[2], args[3]
  local run = claimed_run(uid, fence)
  if not run then return 'fenced' end
  if run.begun_fence == run.fence then return 'begun' end
  if run.phase == 'Cancelling' then
    finish(run, 'Cancelled', run.cancel_reason)
    pump(run.key)
    return 'ok'
  end
  unclaim(run)
  change(run, { worker = '', nonce = '', started_at = '' })
  dispatch(run)
  return 'ok'
end

local function progress(args)
  local uid, fence, progress_json = args[2], args[3], args[4]
  local run = claimed_run(uid, fence)
  if not run then return 'fenced' end
  change(run, { progress = progress_json })
  notify(run)
  return 'ok'
end
