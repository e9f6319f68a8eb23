--[[
Cancel and delete: how a run is stopped from outside.

Invariant: a run that a worker has claimed keeps its slot until its code has ended; any other run ends at once.
A final phase never changes. A cancel only becomes stronger (graceful, then force), and the first reason stays.
]]

-- For a claimed run. `mode` is graceful or force.
local function ask_to_stop(run, mode, reason)
  if run.phase == 'Running' then
    change(run, { phase = 'Cancelling', cancel = mode, cancel_reason = reason, reason = reason })
    announce(run)
  else
    change(run, { cancel = mode })
    notify(run)
  end
  redis.call('PUBLISH', prefix .. ':nudge:' .. run.worker, run.uid)
end

local function stop(run, mode, reason, message)
  if FINAL[run.phase] then return 'unchanged' end
  if run.phase == 'Cancelling' and (run.cancel == 'force' or mode == run.cancel) then return 'unchanged' end
  if run.phase ~= 'Cancelling' and message and message ~= '' then
    redis.call('HSET', run_key(run.uid), 'cancel_message', message)
  end
  if CLAIMED[run.phase] then
    ask_to_stop(run, mode, reason)
  else
    finish(run, 'Cancelled', reason)
    pump(run.key)
  end
  return 'ok'
end

local function cancel(args)
  local uid, mode, reason, message = args[2], args[3], args[4], args[5]
  local run = load_run(uid)
  if not run then return { 'gone' } end
  -- Its TaskRun does not exist any more, so there is nothing to list.
  if reason == 'Deleted' then unlist(run) end
  local verdict = stop(run, mode, reason, message)
  return { verdict, run.phase, run.reason }
end

local function delete(args)
  local run = load_run(args[2])
  if not run then return { 'gone' } end
  if run.deleted == '1' then return { 'unchanged', run.phase, run.reason } end
  change(run, { deleted = '1' })
  unlist(run)
  if not FINAL[run.phase] then
    -- Followers of a run that was already asked to stop must learn of the delete too.
    if stop(run, 'graceful', 'Deleted') == 'unchanged' then notify(run) end
  elseif run.origin ~= 'TaskRun' then
    strip(run)
  end
  return { 'ok', run.phase, run.reason }
end
