-- Adds to a counter, or creates one where no visible entry stands.
-- KEYS: the entry. ARGV: the amount; bytes and time to live of a fresh counter; whether it may
-- begin, for then it is stamped with the head of the log; the first visible sequence and the
-- incarnation; the id that the caller has judged (or nothing) and its verdict; the deadline in
-- server milliseconds. Answers `begun` where what stood there, if anything, was no counter.
local function owner_of(entry)
  return string.sub(entry, 57, 64)
end

-- A counter is gone when its time to live has passed, and was not loaded, whatever stood there before.
local function not_kept(key, entry)
  if entry.version == 1 then return end
  redis.call('SETRANGE', key, 72, string.rep('\0', 12))
  if entry.kept > 0 and entry.expires > 0 then
    redis.call('PEXPIREAT', key, string.format('%.0f', entry.expires))
  end
end

local key, amount = KEYS[1], ARGV[1]
if now_ms() >= tonumber(ARGV[9]) then return { 'late', '' } end
local value = redis.pcall('GET', key)
local there = parse(value, key)
if there and #value < there.length then there = nil end

local seen = visible(there, ARGV[5], ARGV[6], ARGV[7], ARGV[8])
if seen == nil then return { 'judge', header_at(key, there) } end
if not seen then
  if ARGV[4] == '0' then return { 'absent', '' } end
  put(key, ARGV[2], ARGV[3], nil)
  return { 'begun', amount }
end

-- Another owner's value, such as a function's result, is none of the caller's.
if owner_of(value) ~= owner_of(ARGV[2]) then return { 'owner', '' } end

-- Lua's numbers lose digits above 2^53, so the server's own command adds, on the bare digits.
if there.codec ~= JSON or there.flags ~= PLAIN or #value - there.length > 20 then return { 'type', '' } end
redis.call('SET', key, string.sub(value, there.length + 1), 'KEEPTTL')
local sum = redis.pcall('INCRBY', key, amount)
if type(sum) == 'table' then
  redis.call('SET', key, value, 'KEEPTTL')
  return { string.find(sum.err, 'overflow', 1, true) and 'overflow' or 'type', '' }
end
local digits = redis.call('GET', key)
local header = string.sub(value, 1, 5) .. COUNTER .. string.sub(value, 7, there.length)
redis.call('SET', key, header .. digits, 'KEEPTTL')
void_refresh(key, there)
not_kept(key, there)
return { there.kind == COUNTER and 'done' or 'begun', digits }
