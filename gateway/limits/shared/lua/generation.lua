-- What a place of the counters says of its own beginning: lost with everything else when a server comes back empty.
--
-- KEYS[1]  hash {id, cut, born, ready: by any ledger, ready:LEDGER: by this one, adopted;
--          clearing: id of the one that begins when what is left of the one before is gone}
-- KEYS[2]  the mark that gateways before left in a place that has its counters
-- KEYS[3]  how often this worker has looked: less than it knows where a server came back with what it held earlier
-- ARGV     '': say, and begin one when there is none; else the id of one that is ready now
--          an id for a new one; microsecond it is now; the id the caller knows, or ''; microsecond at which it lost that,
--          or began;
--          1: a new one has nothing to restore; the ledger the caller restores from, or '';
--          how often it has looked; the id whose clearing it has finished, or ''
--          (the microseconds are gateways' clocks', by which requests are stamped)
-- -> {id, cut, born, ready, adopted, ready by this ledger or nil}, or {id} that must be cleared for first

local LOOKS_KEPT = 172800 -- seconds; who is cut off for longer takes the place for one that was set back

local call, key = redis.call, KEYS[1]
if ARGV[1] ~= '' then
    if call('HGET', key, 'id') == ARGV[1] then
        call('HSET', key, 'ready', '1', 'ready:' .. ARGV[7], '1')
    end
    return {}
end
local id, clearing = unpack(call('HMGET', key, 'id', 'clearing'))
local now, known, lost, looks = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[8])
local kept = ARGV[6] == '1' or call('EXISTS', KEYS[2]) == 1
local set_back = id and known == id and looks > (tonumber(call('GET', KEYS[3])) or 0)
if not clearing and (set_back or not (id or kept)) then
    clearing = ARGV[2]
    call('HSET', key, 'clearing', clearing)
end
if clearing and clearing ~= ARGV[9] then
    return { clearing }
elseif clearing or not id then
    local adopted = not clearing and '1' or '0'
    call('DEL', key)
    id = clearing or ARGV[2]
    call('HSET', key, 'id', id, 'cut', lost, 'born', now, 'ready', adopted, 'adopted', adopted)
elseif known ~= '' and known ~= id then
    local v = call('HMGET', key, 'cut', 'born', 'adopted')
    local later = math.min(tonumber(lost), tonumber(v[2]))
    if v[3] == '0' and later > tonumber(v[1]) then
        call('HSET', key, 'cut', string.format('%.0f', later))
    end
end
call('SET', KEYS[3], string.format('%.0f', looks + 1), 'EX', LOOKS_KEPT)
return call('HMGET', key, 'id', 'cut', 'born', 'ready', 'adopted', 'ready:' .. ARGV[7])
