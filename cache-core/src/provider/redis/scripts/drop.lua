-- Frees what stands at a key if it is older than a record about the key. KEYS: the entry.
-- ARGV: the record's sequence, and the number of its incarnation.
local there = peek(KEYS[1])
if not there or there.sequence >= tonumber(ARGV[1]) then return 0 end
-- What the caller has not heard of is none of the past.
if number_of(there) > tonumber(ARGV[2]) then return 0 end
return redis.call('UNLINK', KEYS[1])
