--[[
Functions: what a caller can ask of the ledger, and the registration.

A call is  FCALL kelery_v1_<name> 1 <prefix> <revision> <arguments...>.  It runs atomically. <revision> is the caller's
own: a library that is older than its caller answers KELERY_OUTDATED, and the caller loads its own.

Invariants of every function
  - specs, messages, results and errors are opaque strings: cjson would break large integers and empty arrays;
  - no decision about safety reads a clock: `now` only drives timers and times that are shown;
  - what frees or keeps a slot works when memory is full; only new work is refused then.

Each function with its arguments, then its replies:

submit <uid> <spec_hash> <born_reason> <field> <value> ...    a new run; the same uid again changes nothing
    {"new"|"existing", phase, reason, rev} | {"no_room"|"name_taken", "", "", "0", uid in the way}
    KELERY_CONFLICT if the uid is known with another hash
claim <uid> <attempt> <worker> <nonce> [<push>]               take an attempt; <push> is the message's number
    {"ok", fence, timeout_ms, grace_ms, keyed, cancel} | {"stale"} | {"final"} | {"gone"}
renew <worker> <uid> <fence> ...                              keep these claims alive
    {{"ok"|"graceful"|"force"|"fenced", ...}, {orphan uid, fence, ...}}
start <uid> <fence> <pid>                                     once per claim, just before the task body
    "ok" | "fenced" | "begun" | "cancelled"
handback <uid> <fence>                                        give back a claim whose body never started
    "ok" | "fenced" | "begun"
progress <uid> <fence> <json>                                 how far the body is
    "ok" | "fenced"
stage <uid> <fence> <outcome...>                              keep an outcome until `settle`
    "ok" | "fenced"
settle <uid> <fence> <outcome...>                             end the attempt; a staged one wins, unless it timed out
    {"ok"|"already"|"fenced", phase, reason}
reclaim <uid> <fence> <counter>                               end a claim whose lease still has this counter
    "ok" | "moved"
cancel <uid> <graceful|force> <reason> [<message>]            stop a run
    {"ok"|"unchanged", phase, reason} | {"gone"}
delete <uid>                                                  remove a run from every list, and cancel it
    {"ok"|"unchanged", phase, reason} | {"gone"}
tick <want_leases 0|1>                                        let due timers act, at most 200
    {done, {uid, lease, ...}}
acknowledge <uid> <retain_ms>                                 the run's last status is written
    "ok" | "live" | "gone"
view <inline_bytes> <uid> ...                                 read only; later revisions add to the end
    for each run: {} | {RECORD values, result_bytes, result, position, attempts, held_by, RECORD_2 values}
last_event                                                    read only
    id of the newest entry of :events, or "0-0"
present <worker> <json>                                       the worker is there
    "ok"
leave <worker>                                                the worker is no longer there
    "ok"
workers                                                       read only
    {{worker, json, silent_ms, {uid, ...}}, ...}
queues                                                        also forgets the queues that are not in use
    {{queue, messages, running}, ...}
revision                                                      read only, without a prefix and a revision
    integer

<outcome...> is <field> <value> ... with these fields; an empty one may be left out.
    kind                     succeeded | failed | retry
    reason                   why the attempt ended
    result                   if it succeeded
    error, error_type        if it did not
    head, tail, delay_ms     the run message of a retry, if it is a new one, and the pause before it
Callers up to revision 2 send the values alone, all eight of them in the order of OUTCOME (record.lua).

`only_if`, if it is there, is the last field of a submission: conditions, separated by commas. "room" refuses a run if
its key has no free slot, or if a run waits for it. "free_name" refuses a run whose name a live listed run has.

A deleted run, or one cancelled with the reason Deleted, is no longer listed, and its name is free at once. It keeps its
slot until it has ended. Then a deleted run loses its spec, result and error; a TaskRun keeps them until it is purged,
because its last status may not be written yet. Until the purge, a repeated submission is recognized.
]]

local REVISION = 3

local function register(name, body, flags)
  redis.register_function({
    function_name = 'kelery_v1_' .. name,
    callback = function(keys, args)
      if tonumber(args[1]) > REVISION then
        return redis.error_reply('KELERY_OUTDATED library revision ' .. REVISION)
      end
      local seconds, microseconds = unpack(redis.call('TIME'))
      prefix, now = keys[1], tonumber(seconds) * SECOND + tonumber(microseconds)
      return body(args)
    end,
    flags = flags,
  })
end

local NEW_WORK = {}
local ALWAYS = { 'allow-oom' }
local READ_ONLY = { 'no-writes' }

register('submit', submit, NEW_WORK)
register('claim', claim, ALWAYS)
register('renew', renew, ALWAYS)
register('start', start, ALWAYS)
register('handback', handback, ALWAYS)
register('progress', progress, NEW_WORK)
register('stage', stage, ALWAYS)
register('settle', settle, ALWAYS)
register('reclaim', reclaim, ALWAYS)
register('cancel', cancel, ALWAYS)
register('delete', delete, ALWAYS)
register('tick', tick, ALWAYS)
register('acknowledge', acknowledge, ALWAYS)
register('view', view, READ_ONLY)
register('last_event', last_event, READ_ONLY)
register('present', present, ALWAYS)
register('leave', leave, ALWAYS)
register('workers', workers, READ_ONLY)
register('queues', queues, ALWAYS)
redis.register_function({
  function_name = 'kelery_v1_revision',
  callback = function() return REVISION end,
  flags = READ_ONLY,
})
