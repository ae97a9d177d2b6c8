-- What a place of the counters says of its own beginning: lost with everything else when a server comes back empty.
--
-- KEYS[1]  hash {id, cut, born, ready: by any ledger, ready:LEDGER: by this one, adopted}
-- KEYS[2]  the mark that gateways before left in a place that has its counters
-- ARGV     '': say, and begin one when there is none; else the id of one that is ready now
--          an id for a new one; microsecond it is now; the id the caller knows, or ''; microsecond at which it lost that,
--          or began;
--          1: a new one has nothing to restore; the ledger the caller restores from, or ''
--          (the microseconds are gateways' clocks', by which requests are stamped)
-- -> {id, cut, born, ready, adopted, ready by this ledger or nil}

local call, key = redis.call, KEYS[1]
if ARGV[1] ~= '' then
    if call('HGET', key, 'id') == ARGV[1] then
        call('HSET', key, 'ready', '1', 'ready:' .. ARGV[7], '1')
    end
    return {}
end
local id = call('HGET', key, 'id')
local now, known, lost = ARGV[3], ARGV[4], ARGV[5]
if not id then
    local adopted = (ARGV[6] == '1' or call('EXISTS', KEYS[2]) == 1) and '1' or '0'
    call('HSET', key, 'id', ARGV[2], 'cut', lost, 'born', now, 'ready', adopted, 'adopted', adopted)
elseif known ~= '' and known ~= id then
    local v = call('HMGET', key, 'cut', 'born', 'adopted')
    local later = math.min(tonumber(lost), tonumber(v[2]))
    if v[3] == '0' and later > tonumber(v[1]) then
        call('HSET', key, 'cut', string.format('%.0f', later))
    end
end
return call('HMGET', key, 'id', 'cut', 'born', 'ready', 'adopted', 'ready:' .. ARGV[7])
