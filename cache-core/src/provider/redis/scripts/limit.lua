-- Counts a call against a limit, if it fits. KEYS: what is counted. ARGV: the limit; the window, and how
-- much of it is counted as one part; whether it slides; what the call costs, and whether that is
-- counted; the deadline in server milliseconds. Times are in microseconds of the server's clock.
-- Answers whether it is allowed (-1: too late), what is left, how long until nothing is counted, and
-- until such a call is allowed (-1: it is, or never).
-- provider/memory/limits.rs does the same in memory, and says what the parts are.
local key, limit, window, width = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local slides, cost, counts = ARGV[4] == '1', tonumber(ARGV[5]), ARGV[6] == '1'
local MOST_PARTS = 64

-- The parts that count still, from the oldest on, their sum, and when the newest began. What is no such
-- state is taken for none, and overwritten.
local function parts_at(now)
  local value, parts, used = redis.pcall('GET', key), {}, 0
  if type(value) ~= 'string' or #value % 16 ~= 8 or #value > 8 + 16 * MOST_PARTS then return parts, used, 0 end
  for at = 9, #value, 16 do
    local ends, spent = struct.unpack('>I8I8', value, at)
    if ends > now then
      table.insert(parts, { ends = ends, cost = spent })
      used = used + spent
    end
  end
  return parts, used, (struct.unpack('>I8', value))
end

local function store(parts, opened, now)
  local bytes = { struct.pack('>I8', opened) }
  for _, part in ipairs(parts) do table.insert(bytes, struct.pack('>I8I8', part.ends, part.cost)) end
  local left = math.ceil((parts[#parts].ends - now) / 1000)
  redis.call('SET', key, table.concat(bytes), 'PX', string.format('%.0f', left))
end

-- Adds the call to the newest part, or as a part of its own. The server's clock may have gone back.
local function add(parts, opened, now)
  local newest = parts[#parts]
  local ends = math.max(newest and newest.ends or 0, now + window)
  if newest and now < opened + width then
    newest.cost = newest.cost + cost
    if slides then newest.ends = ends end
  else
    opened = now
    table.insert(parts, { ends = ends, cost = cost })
  end
  store(parts, opened, now)
end

-- How long until enough has ended for such a call.
local function retry_after(parts, used, now)
  if cost > limit then return -1 end
  for _, part in ipairs(parts) do
    used = used - part.cost
    if used <= limit - cost then return part.ends - now end
  end
  return -1
end

local now = now_us()
if now >= tonumber(ARGV[7]) * 1000 then return { -1, 0, 0, 0 } end
local parts, used, opened = parts_at(now)
local left = math.max(limit - used, 0)
local allowed, retry = cost <= left, -1
if not allowed then retry = retry_after(parts, used, now) end
if allowed and counts then
  add(parts, opened, now)
  left = left - cost
end
local resets = #parts > 0 and parts[#parts].ends - now or 0
return { allowed and 1 or 0, left, resets, retry }
