-- Removes whatever stands at a key and tells what it was, if it was ours. KEYS: the entry.
local there = peek(KEYS[1])
local header = there and header_at(KEYS[1], there)
redis.call('UNLINK', KEYS[1])
return header
