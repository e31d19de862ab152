-- Gives a lock back that the token holds still. KEYS: the lock. ARGV: the token; how long the lock is
-- remembered, in milliseconds. Answers whether it held it.
local key, token, now = KEYS[1], ARGV[1], now_us()
local there = lock_at(key, now)
if not there or not there.held or there.token ~= token then return 0 end
keep(key, FREE, there.fencing, now, now, ARGV[2])
return 1
