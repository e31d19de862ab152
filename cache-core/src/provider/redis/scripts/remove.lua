-- Frees an entry or a lease that still stands. KEYS: the entry. ARGV: its id. The token of a load beside an
-- entry goes alone.
local there = peek(KEYS[1])
if there and there.refresh == ARGV[1] then void_refresh(KEYS[1], there) end
if not there or there.id ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
