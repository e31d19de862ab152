-- Reserves a key for a load, or tells what stands there.
-- KEYS: the entry. ARGV: the lease's bytes, its time to live, the id of what was observed there
-- (or nothing), the first sequence that is visible at this key, whether the caller is sure of the
-- incarnation, whether what was observed is to stand until the load's value takes its place.
local key, lease, observed = KEYS[1], ARGV[1], ARGV[3]
local mine, there = parse(lease, key), peek(key)
if there and ARGV[5] == '0' and number_of(there) > number_of(mine) then
  -- Who has not heard of a new incarnation cannot judge what is stored in it.
  return { 'behind', redis.call('GET', key) }
end
if there and there.id ~= observed then
  if there.kind ~= LEASE then
    return { 'found', redis.call('GET', key) }
  end
  -- A load that an invalidation has made worthless must be neither joined nor waited for.
  if there.incarnation == mine.incarnation and there.sequence >= tonumber(ARGV[4]) then
    return { 'standing', header_at(key, there) }
  end
elseif there and ARGV[6] == '1' and there.version > 1 and there.incarnation == mine.incarnation then
  if is_refreshed(there) then return { 'standing', header_at(key, there) } end
  refresh(key, mine.id, ARGV[2])
  return { 'leased', '' }
end
redis.call('SET', key, lease, 'PX', ARGV[2])
return { 'leased', '' }
