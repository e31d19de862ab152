-- Takes the turn to sweep, or keeps it. KEYS: the turn. ARGV: the token of the node that sweeps,
-- how long it is its turn, in milliseconds. Answers 0, or how long it is another's.
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'string' and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left > 0 then return left end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0
