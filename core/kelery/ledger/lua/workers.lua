--[[
Workers and queues: what people see of them.

Invariant: no slot depends on anything here. Only the leases decide whether a worker is dead.
]]

local WORKER_FORGOTTEN = 3600 * SECOND

local function forget_worker(worker)
  redis.call('ZREM', prefix .. ':workers', worker)
  redis.call('HDEL', prefix .. ':worker_info', worker)
end

local function present(args)
  local worker, info = args[2], args[3]
  redis.call('ZADD', prefix .. ':workers', text(now), worker)
  redis.call('HSET', prefix .. ':worker_info', worker, info)
  local oldest = text(now - WORKER_FORGOTTEN)
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', prefix .. ':workers', '-inf', oldest, 'LIMIT', 0, 10)) do
    forget_worker(silent)
  end
  return 'ok'
end

local function leave(args)
  forget_worker(args[2])
  return 'ok'
end

local function workers()
  local found = {}
  local oldest = text(now - WORKER_FORGOTTEN)
  local seen = redis.call('ZRANGEBYSCORE', prefix .. ':workers', oldest, '+inf', 'WITHSCORES')
  for i = 1, #seen, 2 do
    local worker, last_seen = seen[i], tonumber(seen[i + 1])
    local info = redis.call('HGET', prefix .. ':worker_info', worker) or '{}'
    local silent_ms = text(math.floor((now - last_seen) / 1000))
    found[#found + 1] = { worker, info, silent_ms, redis.call('SMEMBERS', prefix .. ':claims:' .. worker) }
  end
  return found
end

local function queues()
  local lists, running = {}, {}
  local used = redis.call('HGETALL', prefix .. ':queues')
  for i = 1, #used, 2 do lists[used[i]] = used[i + 1] end
  -- Between its message and its claim, a run is visible in neither place, so its queue may have been forgotten.
  for _, uid in ipairs(redis.call('HKEYS', prefix .. ':leases')) do
    local queue, queue_key = unpack(redis.call('HMGET', run_key(uid), 'queue', 'queue_key'))
    running[queue] = (running[queue] or 0) + 1
    lists[queue] = queue_key
  end
  local found = {}
  for queue, queue_key in pairs(lists) do
    local messages = queue_length(queue_key)
    if messages == 0 and not running[queue] then
      redis.call('HDEL', prefix .. ':queues', queue)
    else
      found[#found + 1] = { queue, text(messages), text(running[queue] or 0) }
    end
  end
  return found
end
