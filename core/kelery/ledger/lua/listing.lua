--[[
Listing: which runs of a namespace are listed, and which run a name means.

Invariant: a name means the newest run that has it. A purged or deleted run is not listed, and its name is free.
]]

-- A live listed run with that name; nil if there is none. A run without a name of its own is named by its uid.
local function live_run_of_name(ns, name)
  if redis.call('ZSCORE', prefix .. ':runs:' .. ns, name) then
    local phase, its_name = unpack(redis.call('HMGET', run_key(name), 'phase', 'name'))
    if its_name == name and not FINAL[phase] then return name end
  end
  local newest = redis.call('HGET', prefix .. ':names:' .. ns, name)
  local phase = newest and redis.call('HGET', run_key(newest), 'phase')
  if phase and not FINAL[phase] then return newest end
  return redis.call('ZRANGE', namesakes_key(ns, name), -1, -1)[1]
end

local function list(run)
  redis.call('ZADD', prefix .. ':runs:' .. run.ns, text(now), run.uid)
  if run.name == run.uid then return end
  local names = prefix .. ':names:' .. run.ns
  local before = redis.call('HGET', names, run.name)
  if before then
    local phase, arrival = unpack(redis.call('HMGET', run_key(before), 'phase', 'seq'))
    if phase and not FINAL[phase] then redis.call('ZADD', namesakes_key(run.ns, run.name), arrival, before) end
  end
  redis.call('HSET', names, run.name, run.uid)
end

local function unlist(run)
  redis.call('ZREM', prefix .. ':runs:' .. run.ns, run.uid)
  if run.key ~= '' then redis.call('ZREM', admitted_key(run.key), run.uid) end
  local names, namesakes = prefix .. ':names:' .. run.ns, namesakes_key(run.ns, run.name)
  if redis.call('HGET', names, run.name) ~= run.uid then
    redis.call('ZREM', namesakes, run.uid)
    return
  end
  local follower = redis.call('ZPOPMAX', namesakes)[1]
  if follower then
    redis.call('HSET', names, run.name, follower)
  else
    redis.call('HDEL', names, run.name)
  end
end
