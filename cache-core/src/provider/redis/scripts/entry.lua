-- Owns how an entry lies in its string, for scripts; provider/stored.rs has the layout. Numbers in it are
-- big-endian and compared as numbers: `<` on strings follows the server's locale.
local HEAD, FIXED, FIRST_FIXED = 72, 100, 72
local ENTRY, LEASE, COUNTER = 'e', 'l', 'c'
local JSON, PLAIN = 0, 0
local NO_REFRESH = string.rep('\0', 16)

local function u64(number)
  return struct.pack('>I8', number)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- What a header says since version 2: how long the entry is kept when it has expired, which load runs while
-- it stands here, and until when that counts.
local function later(value, version)
  if version == 1 then return { kept = 0, refresh = '', refresh_until = 0 } end
  return {
    kept = struct.unpack('>I8', value, 73),
    refresh = string.sub(value, 85, 92), refresh_until = struct.unpack('>I8', value, 93),
  }
end

-- What the first bytes of a string say, if they are those of an entry at this very key.
local function parse(value, key)
  if type(value) ~= 'string' or #value < HEAD + #key then return nil end
  if string.sub(value, 1, 4) ~= '\202che' then return nil end
  local version = string.byte(value, 5)
  local fixed = version == 2 and FIXED or version == 1 and FIRST_FIXED
  if not fixed or #value < fixed + #key then return nil end
  local length, key_length, tags = struct.unpack('>I4I2I2', value, 65)
  if key_length ~= #key or length < fixed + #key then return nil end
  if string.sub(value, fixed + 1, fixed + #key) ~= key then return nil end
  local kind = string.sub(value, 6, 6)
  if kind ~= ENTRY and kind ~= LEASE and kind ~= COUNTER then return nil end
  local there = later(value, version)
  there.version, there.kind, there.length, there.tags = version, kind, length, tags
  there.codec, there.flags, there.id = string.byte(value, 7), string.byte(value, 8), string.sub(value, 9, 16)
  there.sequence, there.incarnation = struct.unpack('>I8', value, 17), string.sub(value, 25, 40)
  there.expires = struct.unpack('>I8', value, 49)
  return there
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

-- Whether the time to live has passed: what stands there is then kept for those who may show it stale.
local function is_expired(there)
  return there.expires > 0 and there.expires <= now_ms()
end

-- Whether a load runs that may still replace the entry.
local function is_refreshed(there)
  return there.refresh_until > now_ms()
end

-- Whether the load with this token may store its value here, by a lease or beside the old entry.
local function is_held(there, token)
  if not there then return false end
  if there.kind == LEASE then return there.id == token end
  return there.refresh == token and is_refreshed(there)
end

-- Notes that a load runs, and has the string last as long as it may take.
local function refresh(key, token, lease_ttl)
  redis.call('SETRANGE', key, 84, token .. u64(now_ms() + tonumber(lease_ttl)))
  local left = redis.call('PTTL', key)
  if left >= 0 and left < tonumber(lease_ttl) then redis.call('PEXPIRE', key, lease_ttl) end
end

-- No load that is under way may store its value any more.
local function void_refresh(key, there)
  if there.version > 1 then redis.call('SETRANGE', key, 84, NO_REFRESH) end
end

-- Stores an entry with the server's times, and with `stamp` unless that is nil. A `ttl` of '0' is none.
local function put(key, value, ttl, stamp)
  local now = now_ms()
  local expires = 0
  if ttl == '0' then
    redis.call('SET', key, value)
  else
    expires = now + tonumber(ttl)
    redis.call('SET', key, value, 'PX', string.format('%.0f', tonumber(ttl) + parse(value, key).kept))
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
  if not there or there.kind == LEASE or is_expired(there) then return false end
  if there.id == judged then return verdict == '1' end
  if there.sequence < tonumber(from) then return false end
  if there.incarnation == incarnation and there.tags == 0 then return true end
  return nil
end
