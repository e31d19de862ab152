-- Owns how an entry lies in its string, for scripts; provider/stored.rs has the layout. Numbers in it are
-- big-endian and compared as numbers: `<` on strings follows the server's locale.
local FIXED = 72
local ENTRY, LEASE, COUNTER = 'e', 'l', 'c'
local JSON, PLAIN = 0, 0

local function u64(number)
  return struct.pack('>I8', number)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- What the first bytes of a string say, if they are those of an entry at this very key.
local function parse(value, key)
  if type(value) ~= 'string' or #value < FIXED + #key then return nil end
  if string.sub(value, 1, 5) ~= '\202che\1' then return nil end
  local length, key_length, tags = struct.unpack('>I4I2I2', value, 65)
  if key_length ~= #key or length < FIXED + #key then return nil end
  if string.sub(value, FIXED + 1, FIXED + #key) ~= key then return nil end
  local kind = string.sub(value, 6, 6)
  if kind ~= ENTRY and kind ~= LEASE and kind ~= COUNTER then return nil end
  return {
    kind = kind, codec = string.byte(value, 7), flags = string.byte(value, 8), id = string.sub(value, 9, 16),
    sequence = struct.unpack('>I8', value, 17), incarnation = string.sub(value, 25, 40),
    length = length, tags = tags,
  }
end

-- What stands at a key, without its payload; nil for nothing, and for what is not ours.
local function peek(key)
  return parse(redis.pcall('GETRANGE', key, 0, FIXED + #key - 1), key)
end

-- The number of the incarnation that something is stored in.
local function number_of(there)
  return struct.unpack('>I8', there.incarnation)
end

local function header_at(key, there)
  return redis.call('GETRANGE', key, 0, there.length - 1)
end

-- Stores an entry with the server's times, and with `stamp` unless that is nil. A `ttl` of '0' is none.
local function put(key, value, ttl, stamp)
  local now = now_ms()
  local expires = 0
  if ttl == '0' then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', ttl)
    expires = now + tonumber(ttl)
  end
  if stamp then
    redis.call('SETRANGE', key, 16, stamp .. u64(now) .. u64(expires))
  else
    redis.call('SETRANGE', key, 40, u64(now) .. u64(expires))
  end
end

-- Whether what stands at a key is an entry that may be shown: true or false, or nil if only the
-- caller can tell, by the tags, or by what the incarnation descends from. It then calls again with
-- its verdict on that id.
local function visible(there, from, incarnation, judged, verdict)
  if not there or there.kind == LEASE then return false end
  if there.id == judged then return verdict == '1' end
  if there.sequence < tonumber(from) then return false end
  if there.incarnation == incarnation and there.tags == 0 then return true end
  return nil
end
