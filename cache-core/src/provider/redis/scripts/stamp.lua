-- The head of the log, as the stamp of a stored entry.
local function stamp_of(meta)
  local nonce = string.gsub(meta.nonce, '%x%x', function(pair)
    return string.char(tonumber(pair, 16))
  end)
  return u64(meta.sequence) .. u64(meta.number) .. nonce
end
