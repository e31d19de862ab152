-- Appends records to the log, none included, and answers what the caller has missed.
-- KEYS: the sorted set, the stream, the heartbeat. ARGV: as log_request says; how long the
-- heartbeat key lives (0: do not write it), in milliseconds; the records.
local request = log_request()
local meta = open_log(KEYS[1], KEYS[2], request)
local records = {}
for index = 9, #ARGV do table.insert(records, ARGV[index]) end
append(KEYS[1], KEYS[2], meta, request, records)
if ARGV[8] ~= '0' then
  -- A heartbeat has to be a write: a server that may no longer write must not answer it.
  redis.call('SET', KEYS[3], incarnation_of(meta), 'PX', ARGV[8])
end
return log_reply(KEYS[2], meta, request)
