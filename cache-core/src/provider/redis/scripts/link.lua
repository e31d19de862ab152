-- Enters keys in an index, before their entries are stored.
-- KEYS: the index. ARGV: for how many microseconds from now on the entries may still be stored; then each
-- key, and the time to live of its entry in milliseconds (0: none).
-- Each call gives a key a new mark, higher than all others: it says that the key was entered since,
-- and from when on no entry can come for it any more. The end of a key is never put earlier.
local MOST_FREED = 100
local index, now = KEYS[1], now_us()
local span = tonumber(ARGV[1])

-- What has expired goes first: a few at a time, but more than come in one by one.
local expired = redis.call('ZRANGEBYSCORE', index, '-inf', whole(now), 'LIMIT', 0, MOST_FREED)
for _, member in ipairs(expired) do
  redis.call('ZREM', index, member, 'l' .. string.sub(member, 2))
end

local newest = tonumber(redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2] or 0)
local mark = math.max(BASE + now + span, newest + 1)
for position = 2, #ARGV, 2 do
  local key, ttl = ARGV[position], tonumber(ARGV[position + 1])
  local known = tonumber(redis.call('ZSCORE', index, 'e' .. key) or 0)
  local ends = ttl == 0 and NEVER or math.min(NEVER, now + span + ttl * 1000)
  redis.call('ZADD', index, whole(math.max(known, ends)), 'e' .. key, whole(mark), 'l' .. key)
  mark = mark + 1
end

live(index)
return 1
