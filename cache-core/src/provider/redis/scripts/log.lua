-- Owns the log of a deployment: one sorted set that is the truth, one stream that delivers.
--
-- Members of the sorted set are one `m…` of score -1 (the state), at most one `n…` of score -2 (its
-- ancestors), and barriers `<kind><argument>` of score `kind * WIDTH + sequence`: each kind is one
-- range of scores, in the order of sequence.
local WIDTH = 281474976710656 -- 2^48, so that five kinds stay exact in a double
local MAX_ANCESTORS = 16
local KINDS = { k = 0, c = 1, t = 2, p = 3, a = 4 }

local function whole(number)
  return string.format('%.0f', number)
end

-- ARGV of every script on the log: the caller's position, how to begin a new incarnation, bounds.
local function log_request()
  local fresh_nonce, on_failover = string.match(ARGV[4], '^(%x+) (%a+)$')
  return {
    number = tonumber(ARGV[1]), nonce = ARGV[2], sequence = tonumber(ARGV[3]),
    fresh_nonce = fresh_nonce, on_failover = on_failover, limit = tonumber(ARGV[5]), keep = ARGV[6], caps = ARGV[7],
  }
end

local function incarnation_of(meta)
  return whole(meta.number) .. ' ' .. meta.nonce
end

-- The state, or nil if there is none that can be read.
local function read_meta(inv)
  local found = redis.pcall('ZRANGEBYSCORE', inv, -1, -1)
  if found.err or #found ~= 1 then return nil end
  local number, nonce, run, sequence, floors =
    string.match(found[1], '^m (%d+) (%x+) (%x+) (%d+) ([%d ]+)$')
  if not number then return nil end
  local meta = { number = tonumber(number), nonce = nonce, run = run, sequence = tonumber(sequence), floors = {} }
  for floor in string.gmatch(floors, '%d+') do
    table.insert(meta.floors, tonumber(floor))
  end
  return meta
end

local function floors_of(meta)
  local floors = {}
  for kind = 1, 5 do floors[kind] = whole(meta.floors[kind] or 0) end
  return table.concat(floors, ' ')
end

local function write_meta(inv, meta)
  local text = { 'm', incarnation_of(meta), meta.run, whole(meta.sequence), floors_of(meta) }
  redis.call('ZREMRANGEBYSCORE', inv, -1, -1)
  redis.call('ZADD', inv, -1, table.concat(text, ' '))
end

-- Whether the caller comes from where this log has yet to get to: the state has gone back, or this
-- is a primary of the past that is one again. Who comes from nowhere has the number 0.
local function is_behind(meta, request)
  if request.number ~= meta.number then return request.number > meta.number end
  return request.nonce == meta.nonce and request.sequence > meta.sequence
end

-- Has a new incarnation show what was stored in the one that ends here, and in those before.
local function descend(inv, meta)
  local ancestors = { incarnation_of(meta) .. ' ' .. whole(meta.sequence) }
  local older = redis.call('ZRANGEBYSCORE', inv, -2, -2)[1] or ''
  for ancestor in string.gmatch(older, '%d+ %x+ %d+') do
    if #ancestors < MAX_ANCESTORS then table.insert(ancestors, ancestor) end
  end
  redis.call('ZREMRANGEBYSCORE', inv, -2, -2)
  redis.call('ZADD', inv, -2, 'n' .. table.concat(ancestors, ','))
end

-- The state. Where it is lost, or was written before the server's last start, records may be lost
-- and their positions given out twice: a new incarnation begins. It hides all that was stored, or
-- descends from the last one. run_id alone would not do: it survives FLUSHALL.
local function open_log(inv, log, request)
  local meta = read_meta(inv)
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  if meta and meta.run == run and not is_behind(meta, request) then return meta end
  local fresh = { number = math.max(meta and meta.number or 0, request.number) + 1, nonce = request.fresh_nonce, run = run }
  if meta and request.on_failover == 'reappend' then
    redis.call('DEL', log)
    descend(inv, meta)
    fresh.sequence, fresh.floors = meta.sequence, meta.floors
  else
    redis.call('DEL', inv, log)
    fresh.sequence, fresh.floors = 0, {}
  end
  write_meta(inv, fresh)
  return fresh
end

-- Over the cap the oldest barriers go, and the kind's floor rises to the newest of them.
local function bound(inv, meta, kind, cap)
  local first, last = kind * WIDTH, kind * WIDTH + WIDTH - 1
  local over = redis.call('ZCOUNT', inv, whole(first), whole(last)) - cap
  if over <= 0 then return end
  local newest = redis.call('ZRANGEBYSCORE', inv, whole(first), whole(last), 'WITHSCORES', 'LIMIT', over - 1, 1)
  local floor = tonumber(newest[2]) - first
  meta.floors[kind + 1] = math.max(meta.floors[kind + 1] or 0, floor)
  redis.call('ZREMRANGEBYSCORE', inv, whole(first), whole(first + floor))
end

local function deliver(log, meta, keep, record)
  local id = whole(meta.sequence) .. '-0'
  local fields = { log, 'MAXLEN', '~', keep, id, 'i', incarnation_of(meta), 'r', record }
  local added = redis.pcall('XADD', unpack(fields))
  if type(added) == 'table' and added.err then
    -- Something else stands there, or a later id. Readers see the gap in the sequence.
    redis.call('DEL', log)
    redis.call('XADD', unpack(fields))
  end
end

local function append(inv, log, meta, request, records)
  local caps = {}
  for cap in string.gmatch(request.caps, '%d+') do table.insert(caps, tonumber(cap)) end
  for _, record in ipairs(records) do
    local kind = KINDS[string.sub(record, 1, 1)]
    meta.sequence = meta.sequence + 1
    redis.call('ZADD', inv, whole(kind * WIDTH + meta.sequence), record)
    bound(inv, meta, kind, caps[kind + 1])
    deliver(log, meta, request.keep, record)
  end
  if #records > 0 then write_meta(inv, meta) end
end

-- The records after the caller's position, or nil if they are not all there.
local function records_since(log, meta, request)
  if request.number ~= meta.number or request.nonce ~= meta.nonce then return nil end
  local missing = meta.sequence - request.sequence
  if missing == 0 then return {} end
  if missing < 0 or missing > request.limit then return nil end
  local found = redis.pcall('XRANGE', log, whole(request.sequence + 1) .. '-0', '+', 'COUNT', missing)
  if found.err or #found ~= missing then return nil end
  local incarnation, records = incarnation_of(meta), {}
  for index, entry in ipairs(found) do
    local id, fields = entry[1], entry[2]
    if id ~= whole(request.sequence + index) .. '-0' or fields[2] ~= incarnation then return nil end
    records[index] = fields[4]
  end
  return records
end

-- What every script on the log answers; see reply.rs.
local function log_reply(log, meta, request)
  local time = redis.call('TIME')
  local records = records_since(log, meta, request)
  return {
    meta.number, meta.nonce, meta.sequence, floors_of(meta), meta.run, time[1], time[2], records and 1 or 0,
    records or {},
  }
end
