-- Keys in an index, in the order in which they were entered last. KEYS: the index. ARGV: the score after
-- which they are wanted; how many at most. Answers each with its score, and whether no entry can come
-- any more for which it was entered.
local now = now_us()
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local members = {}
for position = 1, #found, 2 do
  local score = tonumber(found[position + 1])
  local settled = score - BASE < now and 1 or 0
  table.insert(members, { string.sub(found[position], 2), whole(score), settled })
end
return members
