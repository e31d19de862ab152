-- Takes a lock that nobody holds. KEYS: the lock. ARGV: the token; how long it is to be held, in
-- microseconds, and remembered, in milliseconds; the deadline in server milliseconds. Answers the
-- fencing number, 0 if another holds it, -1 if it is too late.
local key, token, now = KEYS[1], ARGV[1], now_us()
if now >= tonumber(ARGV[4]) * 1000 then return -1 end
local there = lock_at(key, now)
if there and there.held then return there.token == token and there.fencing or 0 end
local fencing = math.max(there and there.fencing + 1 or 0, now)
keep(key, token, fencing, now + tonumber(ARGV[2]), now, ARGV[3])
return fencing
