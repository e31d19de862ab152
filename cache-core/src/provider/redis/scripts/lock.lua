-- Owns how a lock lies in its string: the token that holds it (zeros: none), the last fencing number, and
-- when it ends, in microseconds of the server's clock. It stays there a while after it has ended, so that
-- the numbers grow even if the clock goes back.
local FREE = string.rep('\0', 8)

-- What stands at a key, and whether it is held; nil for nothing, and for what is no lock.
local function lock_at(key, now)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'string' or #value ~= 24 then return nil end
  local fencing, ends = struct.unpack('>I8I8', value, 9)
  local token = string.sub(value, 1, 8)
  return { token = token, fencing = fencing, ends = ends, held = token ~= FREE and ends > now }
end

-- Stores a lock for as long as it is held, and remembered (in milliseconds).
local function keep(key, token, fencing, ends, now, remembered)
  local life = math.ceil((ends - now) / 1000) + tonumber(remembered)
  redis.call('SET', key, token .. struct.pack('>I8I8', fencing, ends), 'PX', string.format('%.0f', life))
end
