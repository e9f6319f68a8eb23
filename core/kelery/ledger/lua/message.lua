--[[
Run messages: the Celery messages that tell workers about admitted runs.

Invariant: a message is pushed only for an admitted run, and only onto a list. A lost or duplicated one changes
nothing: the claim decides.
]]

-- Celery's transport uses these names, but they may not exist at the moment. A list in their place ends every worker.
local TRANSPORT_KEYS = { unacked = true, unacked_index = true, unacked_mutex = true }
local TRANSPORT_PREFIX = '_kombu.'

local function is_reserved_queue(queue)
  return TRANSPORT_KEYS[queue] or string.sub(queue, 1, #TRANSPORT_PREFIX) == TRANSPORT_PREFIX
end

-- A submission may name any key in Redis as its queue. The ledger's own keys are no queues, and only a list is one.
local function is_queue(queue_key)
  if is_own_key(queue_key) then return false end
  local kind = redis.call('TYPE', queue_key).ok
  return kind == 'list' or kind == 'none'
end

local function queue_length(queue_key)
  return is_queue(queue_key) and redis.call('LLEN', queue_key) or 0
end

-- The delivery tag holds the attempt, so that a late copy for an older attempt is recognized. It also holds the
-- message's number: a message that is older than its run belongs to a purged run with the same uid, which may have had
-- other arguments.
local function push_message(run)
  local retry_head, retry_tail, head, tail, queue = unpack(redis.call('HMGET', run_key(run.uid),
    'retry_head', 'retry_tail', 'message_head', 'message_tail', 'queue'))
  local number = text(redis.call('HINCRBY', prefix .. ':meta', 'push', 1))
  local tag = run.uid .. ':' .. run.attempt .. ':' .. number
  -- What was a queue at the submission may be something else now. That must not keep other runs from ending; the push
  -- is tried again later.
  if is_queue(run.queue_key) then
    redis.call('LPUSH', run.queue_key, (retry_head or head) .. tag .. (retry_tail or tail))
    redis.call('HSET', prefix .. ':queues', queue, run.queue_key)
  end
  change(run, { pushed_at = text(now) })
end
