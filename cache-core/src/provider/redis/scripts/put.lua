-- Stores an entry whatever stands there. KEYS: the entry. ARGV: its bytes, its time to live, the
-- deadline in server milliseconds. Answers whether it was in time.
if now_ms() >= tonumber(ARGV[3]) then return 0 end
put(KEYS[1], ARGV[1], ARGV[2], nil)
return 1
