--[[
View: what a caller reads about runs.

Invariant: nothing here writes. A later revision adds to the end of a record and changes nothing before it.
]]

local HOLDERS_SHOWN = 5

local function holders_shown(key)
  local names = {}
  for _, uid in ipairs(redis.call('ZRANGE', hold_key(key), 0, HOLDERS_SHOWN - 1)) do
    names[#names + 1] = redis.call('HGET', run_key(uid), 'name') or uid
  end
  return names
end

-- The result only up to `inline_bytes`; its size always.
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
  local last = #RECORD
  values[last + 1], values[last + 2], values[last + 3] = text(size), result, rank and text(rank + 1) or '0'
  values[last + 4] = redis.call('LRANGE', prefix .. ':attempts:' .. uid, 0, -1)
  values[last + 5] = holders
  if revision >= 2 then
    local added = redis.call('HMGET', run_key(uid), unpack(RECORD_2))
    for i = 1, #RECORD_2 do values[last + 5 + i] = added[i] or '' end
  end
  return values
end

local function view(args)
  local revision, inline_bytes, records = tonumber(args[1]), tonumber(args[2]), {}
  for i = 3, #args do records[#records + 1] = view_one(args[i], inline_bytes, revision) end
  return records
end

local function last_event()
  local events = prefix .. ':events'
  if redis.call('EXISTS', events) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', events)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
