-- Takes away, some at a time, what is left of a place's counters before a new generation begins: what of it is too old
-- would count twice with what the ledger says, or too little without.
--
-- KEYS[1]  the generation (generation.lua)
-- ARGV     the id that is cleared for; what the names of the place's keys begin with; its slot in a Cluster, or '';
--          where to go on, '0' at first; how many are looked at
-- -> where to go on, '0': all are gone, or somebody else has finished, or the server lets us look at nothing

local call, key, place = redis.call, KEYS[1], ARGV[2]
if call('HGET', key, 'clearing') ~= ARGV[1] then
    return '0'
end
local found, cursor
if ARGV[3] == '' then
    found = redis.pcall('SCAN', ARGV[4], 'MATCH', place .. '*', 'COUNT', ARGV[5])
    if found.err then
        return '0'
    end
    cursor, found = found[1], found[2]
else
    local many = redis.pcall('CLUSTER', 'COUNTKEYSINSLOT', ARGV[3])
    found = type(many) == 'number' and redis.pcall('CLUSTER', 'GETKEYSINSLOT', ARGV[3], many) or { err = '' }
    cursor = '0'
    if found.err then
        return '0'
    end
end
-- What is no counter: lives apart, or says itself when it is over.
local spared = { generation = true, kept = true, workers = true, pseudonyms = true }
for _, name in ipairs(found) do
    if name:sub(1, #place) == place and not spared[name:match('}:(.*)$')] then
        call('DEL', name)
    end
end
return cursor
