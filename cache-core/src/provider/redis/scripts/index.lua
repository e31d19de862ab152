-- Owns how an index lies in its sorted set, for scripts. A key in the index has two members:
-- `l<key>` with the score BASE + mark, in the order in which keys were entered, and `e<key>` with the
-- microsecond of the server's clock by which all entries have expired that it was entered for.
-- Both in one set, so that the server evicts all of it or nothing.
local BASE = 4503599627370496 -- 2^52: marks are exact in a double, and times below it
local NEVER = BASE - 1

local function whole(number)
  return string.format('%.0f', number)
end

-- Has the index live as long as the last of its entries.
local function live(index)
  local last = redis.call('ZRANGE', index, '(' .. whole(BASE), '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
  local ends = tonumber(last[2] or 0)
  if ends >= NEVER then
    redis.call('PERSIST', index)
  else
    redis.call('PEXPIREAT', index, whole(math.floor(ends / 1000) + 1))
  end
end
