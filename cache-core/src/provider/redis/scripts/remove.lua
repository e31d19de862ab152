-- Frees an entry or a lease that still stands. KEYS: the entry. ARGV: its id.
local there = peek(KEYS[1])
if not there or there.id ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
