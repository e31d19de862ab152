-- Frees what stands at a key if it is older than a record about the key. KEYS: the entry.
-- ARGV: the record's sequence, and its incarnation.
local there = peek(KEYS[1])
if not there then return 0 end
if there.incarnation == ARGV[2] and there.sequence >= tonumber(ARGV[1]) then return 0 end
return redis.call('UNLINK', KEYS[1])
