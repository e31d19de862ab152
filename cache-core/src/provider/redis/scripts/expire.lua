-- Gives a visible entry a new time to live.
-- KEYS: the entry. ARGV: the time to live (0: none); the first visible sequence and the
-- incarnation; the id that the caller has judged (or nothing) and its verdict; the deadline in
-- server milliseconds.
local key, ttl = KEYS[1], ARGV[1]
local now = now_ms()
if now >= tonumber(ARGV[6]) then return { 'late', '' } end
local there = peek(key)
local seen = visible(there, ARGV[2], ARGV[3], ARGV[4], ARGV[5])
if seen == nil then return { 'judge', header_at(key, there) } end
if not seen then return { 'absent', '' } end
-- A load that is under way must not take the new time away.
void_refresh(key, there)
if ttl == '0' then
  redis.call('SETRANGE', key, 48, u64(0))
  redis.call('PERSIST', key)
else
  redis.call('SETRANGE', key, 48, u64(now + tonumber(ttl)))
  redis.call('PEXPIRE', key, string.format('%.0f', tonumber(ttl) + there.kept))
end
return { 'changed', '' }
