-- Extends a lease that still stands. KEYS: the entry. ARGV: the token, the time to live.
local there = peek(KEYS[1])
if not is_held(there, ARGV[1]) then return 0 end
if there.kind == LEASE then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
refresh(KEYS[1], ARGV[1], ARGV[2])
return 1
