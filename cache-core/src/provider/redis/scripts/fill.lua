-- Stores what a load returned, if its lease still stands. Absence refuses, however it came about.
-- KEYS: the entry. ARGV: its bytes, its time to live, the lease's token, the deadline in server
-- milliseconds.
local key, value = KEYS[1], ARGV[1]
local there = peek(key)
if not is_held(there, ARGV[3]) then return 0 end
if there.incarnation ~= parse(value, key).incarnation then return 0 end
if now_ms() >= tonumber(ARGV[4]) then return 0 end
put(key, value, ARGV[2], nil)
return 1
