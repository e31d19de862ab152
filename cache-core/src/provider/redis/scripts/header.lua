-- The header of what stands at a key and the time to live that is left (-1: no limit, -2: none), if it is
-- ours. KEYS: the entry.
local there = peek(KEYS[1])
if not there then return nil end
local ttl = -1
if there.expires > 0 then ttl = math.max(there.expires - now_ms(), 0) end
if ttl == 0 then ttl = -2 end
return { header_at(KEYS[1], there), ttl }
