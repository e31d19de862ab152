-- The header of what stands at a key and its time to live, if it is ours. KEYS: the entry.
local there = peek(KEYS[1])
return there and { header_at(KEYS[1], there), redis.call('PTTL', KEYS[1]) }
