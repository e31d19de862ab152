-- Takes keys out of an index that were not entered again. KEYS: the index. ARGV: each key, and the score that
-- it was seen with.
for position = 1, #ARGV, 2 do
  local key, seen = ARGV[position], tonumber(ARGV[position + 1])
  local score = redis.call('ZSCORE', KEYS[1], 'l' .. key)
  if score and tonumber(score) == seen then
    redis.call('ZREM', KEYS[1], 'l' .. key, 'e' .. key)
  end
end
live(KEYS[1])
return 1
