--[[
Submit: a run enters the ledger, and its key's policy decides about the runs before it.

Invariant: a uid is submitted once; the same submission again changes nothing. A refused one leaves nothing behind.
]]

local PRIORITY_STEP = 2 ^ 42
-- A run that is born final with one of these is Cancelled; with any other reason it is Failed.
local BORN_CANCELLED = { CancelledAtCreate = true, CancelledByUser = true }
local NOT_A_QUEUE = '{"type":"SpecInvalid","message":"spec.queue: something that is no queue has this name in Redis; '
  .. 'give another","traceback":""}'

local function has_room(key, limit)
  if redis.call('ZCARD', wait_key(key)) > 0 then return false end
  return has_free_slot(key, limit)
end

local function supersede_waiters(key)
  for _, uid in ipairs(redis.call('ZRANGE', wait_key(key), 0, -1)) do
    finish(load_run(uid), 'Cancelled', 'Superseded')
  end
end

-- Cancels the oldest holders until the others and one more would fit. A holder that is Cancelling counts as gone.
local function make_room(key, limit)
  local staying = {}
  for _, uid in ipairs(redis.call('ZRANGE', hold_key(key), 0, -1)) do
    local holder = load_run(uid)
    if holder.phase ~= 'Cancelling' then staying[#staying + 1] = holder end
  end
  table.sort(staying, function(one, other) return tonumber(one.admitted_seq) < tonumber(other.admitted_seq) end)
  local smallest = { [#staying + 1] = limit }
  for i = #staying, 1, -1 do smallest[i] = math.min(smallest[i + 1], tonumber(staying[i].limit)) end
  local first = 1
  while #staying - first + 2 > smallest[first] do
    local holder = staying[first]
    if holder.phase == 'Running' then
      ask_to_stop(holder, 'graceful', 'Superseded')
    else
      finish(holder, 'Cancelled', 'Superseded')
    end
    first = first + 1
  end
end

local function enqueue(run, priority, seq)
  local limit = tonumber(run.limit)
  if not has_room(run.key, limit) then
    if run.policy == 'Reject' then return finish(run, 'Failed', 'ConcurrencyRejected') end
    if run.policy == 'Replace' or run.policy == 'QueueLatest' then supersede_waiters(run.key) end
    if run.policy == 'Replace' then make_room(run.key, limit) end
  end
  redis.call('ZADD', wait_key(run.key), text((1000 - priority) * PRIORITY_STEP + seq), run.uid)
  redis.call('ZADD', prefix .. ':keys:' .. run.ns, 0, run.key)
  local before = run.rev
  pump(run.key)
  -- An admission is announced by `pump`. Otherwise announce that the run waits.
  if redis.call('HGET', run_key(run.uid), 'rev') == before then announce(run) end
end

local function summary(word, uid)
  local phase, reason, rev = unpack(redis.call('HMGET', run_key(uid), 'phase', 'reason', 'rev'))
  return { word, phase, reason, rev }
end

-- Why `only_if` refuses a submission, and the run in the way; nil if it does not. A run waits for a holder, so a key
-- without room has one.
local function in_the_way(args)
  if args[#args - 1] ~= 'only_if' then return end
  local fields = {}
  for i = 5, #args, 2 do fields[args[i]] = args[i + 1] end
  local only_if = ',' .. fields.only_if .. ','
  if string.find(only_if, ',free_name,', 1, true) then
    local other = live_run_of_name(fields.ns, fields.name)
    if other then return 'name_taken', other end
  end
  local wants_room = string.find(only_if, ',room,', 1, true) and fields.key ~= ''
  if wants_room and not has_room(fields.key, tonumber(fields.limit)) then
    return 'no_room', redis.call('ZRANGE', hold_key(fields.key), 0, 0)[1]
  end
end

local function submit(args)
  local uid, spec_hash, born_reason = args[2], args[3], args[4]
  local known = redis.call('HGET', run_key(uid), 'spec_hash')
  if known and known ~= spec_hash then
    return redis.error_reply('KELERY_CONFLICT run ' .. uid .. ' was submitted before with another spec')
  end
  if known then return summary('existing', uid) end
  local refusal, other = in_the_way(args)
  if refusal then return { refusal, '', '', '0', other } end
  local seq = redis.call('HINCRBY', prefix .. ':meta', 'seq', 1)
  local older_push = redis.call('HGET', prefix .. ':meta', 'push') or '0'
  redis.call('HSET', run_key(uid), 'spec_hash', spec_hash, 'phase', 'Waiting', 'reason', 'WaitingForKey',
    'attempt', '1', 'task_retries', '0', 'rev', '0', 'queued_at', text(now), 'seq', text(seq),
    'older_push', older_push, unpack(args, 5))
  local run = load_run(uid)
  redis.call('SADD', prefix .. ':live:' .. run.cluster, uid)
  list(run)
  local queue, max_queue_ms, priority = unpack(redis.call('HMGET', run_key(uid), 'queue', 'max_queue_ms', 'priority'))
  if born_reason == '' and (is_reserved_queue(queue) or not is_queue(run.queue_key)) then
    born_reason = 'SpecInvalid'
    redis.call('HSET', run_key(uid), 'error', NOT_A_QUEUE)
  end
  if born_reason ~= '' then
    finish(run, BORN_CANCELLED[born_reason] and 'Cancelled' or 'Failed', born_reason)
    return summary('new', uid)
  end
  local wait_ms = tonumber(max_queue_ms or '')
  if wait_ms then schedule('queue', uid, now + wait_ms * 1000) end
  if run.key == '' then
    admit(run)
  else
    enqueue(run, tonumber(priority), seq)
  end
  return summary('new', uid)
end
