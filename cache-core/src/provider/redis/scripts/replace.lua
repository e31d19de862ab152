-- Puts an entry in the place of the one that the caller has seen.
-- KEYS: the entry. ARGV: the id that was seen; the new bytes; the time to live (nothing: what is
-- left of the old one; 0: none); the deadline in server milliseconds. The bytes' times are those
-- that stand here: `expire` changes them and keeps the id.
local key, ttl = KEYS[1], ARGV[3]
if now_ms() >= tonumber(ARGV[4]) then return { 'late', '' } end
local there = peek(key)
if not there or there.kind == LEASE or there.id ~= ARGV[1] or is_expired(there) then return { 'moved', '' } end
local times = redis.call('GETRANGE', key, 40, 55)
if ttl == '' then
  redis.call('SET', key, ARGV[2], 'KEEPTTL')
  redis.call('SETRANGE', key, 40, times)
else
  put(key, ARGV[2], ttl, nil)
  redis.call('SETRANGE', key, 40, string.sub(times, 1, 8))
end
return { 'changed', '' }
