-- Lets a lock that the token holds still end so long from now. KEYS: the lock. ARGV: as of acquire.lua.
-- Answers whether it holds it, -1 if it is too late.
local key, token, now = KEYS[1], ARGV[1], now_us()
if now >= tonumber(ARGV[4]) * 1000 then return -1 end
local there = lock_at(key, now)
if not there or not there.held or there.token ~= token then return 0 end
keep(key, token, there.fencing, now + tonumber(ARGV[2]), now, ARGV[3])
return 1
