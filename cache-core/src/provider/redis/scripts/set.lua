-- Stores entries whatever stands there, and records the changes: all at one instant, or not at all.
-- KEYS: the sorted set, the stream, then the entries. ARGV: as log_request says; bytes and time to
-- live of each entry; the deadline in server milliseconds.

-- The head of the log, as the stamp of a stored entry.
local function stamp_of(meta)
  local nonce = string.gsub(meta.nonce, '%x%x', function(pair)
    return string.char(tonumber(pair, 16))
  end)
  return u64(meta.sequence) .. u64(meta.number) .. nonce
end

local request = log_request()
local meta = open_log(KEYS[1], KEYS[2], request)
local stored = 0
if now_ms() < tonumber(ARGV[#ARGV]) then
  stored = 1
  local stamp, records = stamp_of(meta), {}
  for index = 3, #KEYS do
    put(KEYS[index], ARGV[2 * index + 2], ARGV[2 * index + 3], stamp)
    table.insert(records, 'c' .. KEYS[index])
  end
  append(KEYS[1], KEYS[2], meta, request, records)
end
return { stored, log_reply(KEYS[2], meta, request) }
