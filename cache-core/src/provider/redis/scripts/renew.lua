-- Extends a lease that still stands. KEYS: the entry. ARGV: the token, the time to live.
local there = peek(KEYS[1])
if not there or there.kind ~= LEASE or there.id ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
