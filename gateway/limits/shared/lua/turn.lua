-- What one worker asks of the counters of one place in one turn of its loop: admissions, settlements and the rest, in
-- order, all rules of a request together. Counters and holds are read when first needed and written once at the end, so
-- a script that fails midway has changed nothing, and a hundred requests cost little more than one.
--
-- KEYS[1]  hash: hold -> what it took (msgpack); the same behind "!" once it has expired; "" once it is settled;
--          lease -> what a worker has of one counter, behind "~" (see Leases)
-- KEYS[2]  sorted set: hold -> microsecond at which it, or what is remembered of it, is over
--          beside them, behind "restored" in place of "holds", a hash: counter and place -> what was restored there
--          and, behind "generation", the place's own (generation.lua): there every counter that the ledger knows too is
--          noted, with the microsecond until which it is kept. One that is missing before has been evicted.
-- ARGV[1]  msgpack {bounds, operations, mark}; gateway/limits/shared/packing.py writes it and reads the answer
--
-- Counters stand under the hash tag of KEYS, so that a Cluster keeps them in the same slot. Time is the server's, in
-- microseconds. Numbers are doubles: exact up to 2^53 (nine million dollars in nano-dollars), which no rule's amount
-- passes. A counter that does not refuse may hold more; what is told of it is as much as the reader can read.

local ROLLING, CALENDAR, SMOOTH, GAUGE = 1, 2, 3, 4
local BUCKETS = 240
local SWEPT_AT_ONCE = 32
local GUESS = 1000000 -- to wait for a place among those under way; nobody can know
local GAUGE_QUIET = 60000000
local MOST_TOLD = 2 ^ 53
local RESTORED_KEPT = 172800000 -- milliseconds; no worker corrects what was restored after so long
local LEASES_KEPT = 86400000000 -- a lease that is over may still be spoken of: its worker was cut off, and lives

local call, floor, max, min, sub = redis.call, math.floor, math.max, math.min, string.sub
local unpack_value, pack_value = cmsgpack.unpack, cmsgpack.pack

local asked = unpack_value(ARGV[1])
local bounds, operations, mark = asked[1], asked[2], asked[3]
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
    return string.format('%.0f', number)
end

-- Counters ------------------------------------------------------------------------------------------------------------

local counters = {}
local generation = string.gsub(KEYS[1], 'holds$', 'generation')
local evicted = false

local function miss(c)
    -- A counter that is not there was never made, or is over: or a server that is short of memory has dropped it.
    local kept = tonumber(call('HGET', generation, 'c:' .. c.key))
    evicted = evicted or (kept ~= nil and kept > now)
end

local function note(c, kept)
    -- Whoever looks at generations every second keeps this hash from being the one that is dropped. (Not EXISTS, which
    -- an ACL user that was made for what we did before may lack.)
    if c.listed and call('HEXISTS', generation, 'id') == 1 then
        call('HSET', generation, 'c:' .. c.key, text(kept))
    end
end

local function sweep_rolling(c, bucket)
    -- Buckets that have left the window. One in which the newest has left is empty.
    local first_kept = bucket - BUCKETS
    if c.newest < first_kept then
        if c.total ~= 0 or c.oldest ~= 0 then
            c.clear = true
        end
        c.total, c.oldest, c.newest = 0, bucket, bucket
        return
    end
    if c.oldest >= first_kept then
        return
    end
    local fields = {}
    for b = c.oldest, first_kept - 1 do
        fields[#fields + 1] = text(b)
    end
    local values = call('HMGET', c.key, unpack(fields))
    local gone = {}
    for at = 1, #fields do
        if values[at] then
            c.total = c.total - tonumber(values[at])
            gone[#gone + 1] = fields[at]
            gone[#gone + 1] = 'r' .. fields[at]
        end
    end
    if #gone > 0 then
        c.gone = gone
    end
    c.total = max(0, c.total)
    c.oldest = first_kept
    c.dirty = true
end

local function load_rolling(c, width)
    c.width = width
    c.bucket = floor(now / width)
    local name = text(c.bucket)
    local v = call('HMGET', c.key, 't', 'o', 'n', 'w', name, 'r' .. name)
    c.total, c.oldest, c.newest = tonumber(v[1]) or 0, tonumber(v[2]) or 0, tonumber(v[3]) or 0
    c.told, c.oldest_read, c.newest_read = tonumber(v[4]), c.oldest, c.newest
    if not v[1] then
        miss(c)
    end
    if c.newest > c.bucket then
        -- The clock stepped back (another server took over): time stands still until it has caught up.
        c.bucket = c.newest
        name = text(c.bucket)
        v = call('HMGET', c.key, 't', 'o', 'n', 'w', name, 'r' .. name)
    end
    c.cells = { [c.bucket] = { used = tonumber(v[5]) or 0, held = tonumber(v[6]) or 0 } }
    sweep_rolling(c, c.bucket)
end

local function cell_of(c, bucket)
    local cell = c.cells[bucket]
    if not cell then
        local name = text(bucket)
        local v = c.clear and {} or call('HMGET', c.key, name, 'r' .. name)
        cell = { used = tonumber(v[1]) or 0, held = tonumber(v[2]) or 0 }
        c.cells[bucket] = cell
    end
    return cell
end

local function load_calendar(c)
    local v = call('HMGET', c.key, 's', 'e', 't', 'r', 'w')
    c.start, c.stop = tonumber(v[1]), tonumber(v[2])
    c.total, c.held, c.told = tonumber(v[3]) or 0, tonumber(v[4]) or 0, tonumber(v[5])
    if not c.start then
        miss(c)
    end
end

local function choose_period(c, first, second, third, fourth)
    -- Of the previous, the running and the next period, the one the server's clock is in. A period that runs is left
    -- only when it is over: another zone moves its end, a clock that stepped back moves nothing.
    local start, stop = second, third
    if now < second then
        start, stop = first, second
    elseif now >= third then
        start, stop = third, fourth
    end
    if not c.start then
        c.start, c.stop, c.total, c.held, c.fresh = start, stop, 0, 0, true
    elseif now >= c.stop then
        c.start, c.stop, c.total, c.held, c.fresh = max(start, c.start + 1), stop, 0, 0, true
    elseif stop > c.start and stop ~= c.stop then
        c.stop, c.fresh = stop, true
    end
end

local function counter(key, kind, width)
    local c = counters[key]
    if c then
        return c
    end
    c = { key = key, kind = kind }
    counters[key] = c
    if kind == ROLLING then
        load_rolling(c, width)
    elseif kind == CALENDAR then
        load_calendar(c)
    elseif kind == SMOOTH then
        local v = call('HMGET', key, 'b', 'f', 'w')
        c.base, c.part, c.told = tonumber(v[1]) or 0, tonumber(v[2]) or 0, tonumber(v[3])
    else
        local v = call('HMGET', key, 't', 'w')
        c.total, c.told = tonumber(v[1]) or 0, tonumber(v[2])
        c.before = c.total
    end
    return c
end

local function counter_of(bound)
    local c = bound.counter
    if not c then
        c = counter(bound[1], bound[2], bound[6])
        c.listed = bound[11] == 1
        if bound[2] == CALENDAR then
            choose_period(c, bound[6], bound[7], bound[8], bound[9])
        end
        bound.counter = c
    end
    return c
end

-- One bound and one amount --------------------------------------------------------------------------------------------

local function smooth_after(bound, c, amount)
    -- Theoretical arrival time after `amount` more: microseconds, and a part of one in 1/rate.
    local base, part = c.base, c.part
    if base < now then
        base, part = now, 0
    end
    part = part + amount * bound[6]
    local whole = floor(part / bound[3])
    return base + whole, part - whole * bound[3]
end

local function smooth_over(bound, base, part)
    -- By how much an arrival time lies beyond the burst, in 1/rate of a microsecond; not above 0: it conforms.
    return (base - now) * bound[3] + part - bound[7] * bound[6]
end

local function used_of(bound, c)
    -- What is taken now, reservations included.
    if bound[2] ~= SMOOTH then
        return min(c.total, MOST_TOLD)
    end
    local base, part = smooth_after(bound, c, 0)
    return math.ceil(((base - now) * bound[3] + part) / bound[6])
end

local function smooth_fill(bound, c, used)
    local part = min(used, bound[7]) * bound[6]
    local whole = floor(part / bound[3])
    c.base, c.part = now + whole, part - whole * bound[3]
end

local function rolling_wait(c, excess)
    -- Microseconds until buckets that hold `excess` have left.
    if not c.sorted then
        local sorted, seen = {}, {}
        for bucket, cell in pairs(c.cells) do
            sorted[#sorted + 1] = { bucket, cell.used }
            seen[bucket] = true
        end
        local all = c.clear and {} or call('HGETALL', c.key)
        for at = 1, #all, 2 do
            local bucket = tonumber(all[at])
            if bucket and bucket >= c.oldest and not seen[bucket] then
                sorted[#sorted + 1] = { bucket, tonumber(all[at + 1]) }
            end
        end
        table.sort(sorted, function(a, b) return a[1] < b[1] end)
        c.sorted = sorted
    end
    for _, pair in ipairs(c.sorted) do
        excess = excess - pair[2]
        if excess <= 0 then
            return (pair[1] + BUCKETS + 1) * c.width - now
        end
    end
    return 0
end

local function lacks_room(bound, c, amount)
    if amount == 0 then
        return false
    elseif bound[2] == SMOOTH then
        return smooth_over(bound, smooth_after(bound, c, amount)) > 0
    end
    return c.total + amount > bound[3]
end

local function wait_of(bound, c, amount)
    -- Microseconds until `amount`, for which there is no room now, might be admitted; -1: never.
    local kind, limit = bound[2], bound[3]
    if kind == SMOOTH then
        if amount > bound[7] then
            return -1
        end
        return math.ceil(smooth_over(bound, smooth_after(bound, c, amount)) / limit)
    elseif amount > limit then
        return -1
    elseif kind == ROLLING then
        return rolling_wait(c, c.total + amount - limit)
    elseif kind == CALENDAR then
        return c.stop - now
    end
    return GUESS
end

local function tells(bound, c)
    -- Whether a soft threshold is passed that was not told; it counts as told as long as it stays passed, and then for
    -- the length of a window.
    local soft, kind = bound[4], bound[2]
    if soft < 0 or used_of(bound, c) < soft then
        return false
    end
    local news = now >= (c.told or 0)
    local quiet = now + GAUGE_QUIET
    if kind == CALENDAR then
        quiet = c.stop
    elseif kind == ROLLING then
        quiet = now + c.width * BUCKETS
    elseif kind == SMOOTH then
        quiet = now + bound[6]
    end
    if not c.told or quiet > c.told then
        c.told, c.dirty, c.tells = quiet, true, true
    end
    return news
end

local function take(bound, c, amount, entries, age)
    -- Takes it, and notes where: key, kind, amount, measure, bucket or period, width or end. Also of 0: what it was in
    -- truth will be entered there.
    local kind, where, extent = bound[2], 0, 0
    if kind == ROLLING then
        where, extent = c.bucket, c.width
        if age > 0 then
            where = max(c.oldest, where - floor(age / c.width))
        end
        local cell = cell_of(c, where)
        c.fresh = c.fresh or cell.used == 0
        cell.used, cell.held, cell.dirty = cell.used + amount, cell.held + amount, true
        c.newest, c.sorted = max(c.newest, where), nil
    elseif kind == CALENDAR then
        if age > 0 and now - age < c.start then
            return
        end
        where, extent = c.start, c.stop
        c.held = c.held + amount
    elseif kind == SMOOTH then
        local base, part = smooth_after(bound, c, amount)
        if smooth_over(bound, base, part) > 0 then
            smooth_fill(bound, c, bound[7])
        else
            c.base, c.part = base, part
        end
        c.dirty = true
        return
    end
    c.dirty = true
    c.total = c.total + amount
    local at = #entries
    entries[at + 1], entries[at + 2], entries[at + 3] = bound[1], kind, amount
    entries[at + 4], entries[at + 5], entries[at + 6] = bound[10], where, extent
end

local function enter(c, where, extent, minus, plus, held)
    -- At one place of a counter, if that is still counted: `plus` instead of `minus`, and `held` more reserved in it.
    if c.kind == GAUGE then
        c.total = max(0, c.total - minus) + plus
    elseif c.kind == CALENDAR then
        if not c.start or where > c.start then
            c.start, c.stop, c.total, c.held, c.fresh = where, extent, 0, 0, true
        elseif where < c.start then
            return
        end
        c.total, c.held = max(0, c.total - minus) + plus, max(0, c.held + held)
    else
        if where < c.bucket - BUCKETS or extent ~= c.width then
            return
        end
        local cell = cell_of(c, where)
        local used = max(0, cell.used - minus) + plus
        c.total = max(0, c.total + used - cell.used)
        cell.used, cell.held, cell.dirty = used, max(0, cell.held + held), true
        c.newest, c.sorted, c.fresh = max(c.newest, where), nil, c.fresh or used == plus
        c.oldest = min(c.oldest, where)
    end
    c.dirty = true
end

local function replace(key, kind, amount, where, extent, actual)
    -- Puts `actual` in the place of a reservation of `amount`.
    enter(counter(key, kind, extent), where, extent, amount, kind == GAUGE and 0 or actual, -amount)
end

-- Holds ---------------------------------------------------------------------------------------------------------------

local holds, changed, deadlines = {}, {}, {}
local NOTHING = { 0, 0, 0, 0, 0, 0, 0 }

local function preload()
    local names, seen = {}, {}
    for _, op in ipairs(operations) do
        local name = op[2]
        if (op[1] <= 4 or op[1] == 7) and not seen[name] then
            seen[name] = true
            names[#names + 1] = name
        end
    end
    local expired = call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, SWEPT_AT_ONCE + #operations)
    for _, name in ipairs(expired) do
        if not seen[name] then
            seen[name] = true
            names[#names + 1] = name
        end
    end
    if #names > 0 then
        local values = call('HMGET', KEYS[1], unpack(names))
        for at = 1, #names do
            holds[names[at]] = values[at]
        end
    end
    return expired
end

local function keep(name, value, microseconds)
    holds[name], changed[name], deadlines[name] = value, true, now + microseconds
end

local function settle_entries(entries, actual)
    -- What was taken in several goes (`extend`) is filled in order; the last takes what is left.
    local rest, last = {}, {}
    for at = 1, #entries, 6 do
        last[entries[at]] = at
    end
    for at = 1, #entries, 6 do
        local key, amount = entries[at], entries[at + 2]
        local left = rest[key] or actual[entries[at + 3]]
        local part = last[key] == at and left or min(left, amount)
        rest[key] = left - part
        replace(key, entries[at + 1], amount, entries[at + 4], entries[at + 5], part)
    end
end

-- Leases --------------------------------------------------------------------------------------------------------------

-- What a worker has of one counter, to spend without asking: entries, each of one place of the counter, with what is
-- used in it and what is held (requests under way, and what is free). It says anew, each time, what every entry is by
-- now, in absolute figures, so that a report that was lost or said twice makes no difference. An entry that it does not
-- speak of any more is done with: what is used stays, and what is held (a grant whose answer was lost) is given back.
--
-- Kept behind "~" as {key, kind, width, latest report, microsecond at which it is over, 1: it was over, entries}; an
-- entry is {number, where, extent, used, held, 1: nothing more is spent from it}.

local ENTRY = 6

local function keep_lease(name, lease, microseconds)
    lease[5] = now + microseconds
    keep(name, '~' .. pack_value(lease), microseconds)
end

local function where_now(c, age)
    -- The place of something spent so long ago, late rather than early; nil: it is not counted any more.
    if c.kind == ROLLING then
        return max(c.oldest, c.bucket - floor(age / c.width)), c.width
    elseif c.kind == CALENDAR then
        if age > 0 and now - age < c.start then
            return nil, nil
        end
        return c.start, c.stop
    end
    return 0, 0
end

local function lease_over(name, value)
    -- Its worker has not spoken in time, and may have spent all of it: what is held counts as used, from the moment at
    -- which the worker had to stop. What is under way is given back. Returns 1, for the count of what expired.
    local lease = unpack_value(sub(value, 2))
    local kind, entries = lease[2], lease[7]
    if lease[6] == 1 or #entries == 0 then
        holds[name], changed[name], deadlines[name] = false, true, nil
        return 0
    end
    local c = counter(lease[1], kind, lease[3])
    for at = 1, #entries, ENTRY do
        local where, extent, all, held = entries[at + 1], entries[at + 2], entries[at + 3] + entries[at + 4], entries[at + 4]
        if kind == GAUGE then
            enter(c, where, extent, all, 0, 0)
        elseif kind == ROLLING and entries[at + 5] == 0 then
            enter(c, where, extent, all, 0, -held)
            entries[at + 1] = max(where, min(c.bucket, floor(lease[5] / c.width)))
            enter(c, entries[at + 1], extent, 0, all, 0)
        else
            enter(c, where, extent, 0, 0, -held)
        end
    end
    if kind == GAUGE then
        holds[name], changed[name], deadlines[name] = false, true, nil
    else
        lease[6] = 1
        keep_lease(name, lease, LEASES_KEPT)
    end
    return 1
end

local function lease_room(bound, c)
    -- How much may be granted in all: nothing that would pass the soft threshold unseen.
    local soft = bound[4]
    if soft >= 0 and c.total < soft then
        return soft - 1 - c.total
    elseif soft >= 0 and now >= (c.told or 0) then
        return 0
    elseif soft >= 0 then
        tells(bound, c)
    end
    return bound[3] - c.total
end

local function restate(c, old, was_over, said, at)
    -- Lets an entry be what the report says it is; nil: it is not counted any more.
    local used, held, age = said[at + 1], said[at + 2], said[at + 3]
    if not old then
        local where, extent = where_now(c, max(0, age))
        if not where then
            return nil
        end
        enter(c, where, extent, 0, used + held, held)
        return where, extent, used, held, age >= 0 and 1 or 0
    end
    local where, extent, all, reserved, fixed = old[1], old[2], old[3] + old[4], was_over and 0 or old[4], old[5]
    if c.kind == ROLLING and age >= 0 and fixed == 0 then
        local spent = max(where, c.bucket - floor(age / c.width))
        if spent ~= where then
            enter(c, where, extent, all, 0, -reserved)
            where, all, reserved = spent, 0, 0
        end
    end
    if all ~= used + held or reserved ~= held then
        enter(c, where, extent, all, used + held, held - reserved)
    end
    return where, extent, used, held, age >= 0 and 1 or fixed
end

local function report(c, lease, said)
    -- Restates what is said of, and lets go of the rest; returns the entries, and where the open one stands among them.
    local known, entries, open = {}, {}, nil
    for at = 1, #lease[7], ENTRY do
        known[lease[7][at]] = { unpack(lease[7], at + 1, at + ENTRY - 1) }
    end
    for at = 1, #said, 4 do
        local number = said[at]
        local where, extent, used, held, fixed = restate(c, known[number], lease[6] == 1, said, at)
        known[number] = nil
        if where then
            local to = #entries
            entries[to + 1], entries[to + 2], entries[to + 3] = number, where, extent
            entries[to + 4], entries[to + 5], entries[to + 6] = used, held, fixed
            if fixed == 0 then
                open = to + 1
            end
        end
    end
    for _, old in pairs(known) do
        enter(c, old[1], old[2], old[3] + old[4], old[3], lease[6] == 1 and 0 or -old[4])
    end
    return entries, open
end

local function grant(bound, c, entries, open, number, want, least, part)
    -- Reserves up to `want` more, in the open entry if that stands where charges are entered now, else in a new one.
    local granted = min(want, floor(lease_room(bound, c) * part))
    local where, extent = where_now(c, 0)
    local same = open and entries[open + 1] == where
    if granted < max(1, least) then
        return 0, same and entries[open] or 0
    end
    enter(c, where, extent, 0, granted, granted)
    if same then
        entries[open + 4] = entries[open + 4] + granted
        return granted, entries[open]
    end
    local to = #entries
    entries[to + 1], entries[to + 2], entries[to + 3] = number, where, extent
    entries[to + 4], entries[to + 5], entries[to + 6] = 0, granted, 0
    return granted, number
end

local function lease(op)
    -- {7, lease, microseconds, bound, number, {entry, used, held, age or -1: open, …}, want or -1: no more, least, part}
    -- -> {granted, entry it is in, used, microseconds until the period ends or -1}; granted -1: overtaken by a later one
    local name, bound, number = op[2], bounds[op[4]], op[5]
    local c, value = counter_of(bound), holds[op[2]]
    local own = value and sub(value, 1, 1) == '~' and unpack_value(sub(value, 2))
        or { bound[1], bound[2], bound[2] == ROLLING and c.width or 0, 0, 0, 0, {} }
    if number <= own[4] then
        return { -1, 0, used_of(bound, c), -1 }
    end
    local entries, open = report(c, own, op[6])
    local granted, entry = 0, 0
    if op[7] >= 0 then
        granted, entry = grant(bound, c, entries, open, number, op[7], op[8], op[9])
    end
    own[4], own[6], own[7] = number, 0, entries
    keep_lease(name, own, #entries > 0 and op[3] or mark)
    return { granted, entry, used_of(bound, c), bound[2] == CALENDAR and c.stop - now or -1 }
end

local function expire(expired)
    -- Gives back what nobody settled. It is remembered for a while where it stood: a settlement may come after all.
    local count = 0
    for _, name in ipairs(expired) do
        local value = holds[name]
        local first = value and sub(value, 1, 1)
        if first == '~' then
            count = count + lease_over(name, value)
        elseif value and value ~= '' and first ~= '!' then
            local entries = unpack_value(value)
            settle_entries(entries, NOTHING)
            for at = 3, #entries, 6 do
                entries[at] = 0
            end
            keep(name, '!' .. pack_value(entries), mark)
            count = count + 1
        else
            holds[name], changed[name], deadlines[name] = false, true, nil
        end
    end
    return count
end

-- Operations ----------------------------------------------------------------------------------------------------------

local function totals(op, from, answer)
    for at = from, #op, 2 do
        local bound = bounds[op[at]]
        answer[#answer + 1] = used_of(bound, counter_of(bound))
    end
    return answer
end

local function refusal(op, from)
    -- The bound that takes longest to let it through; nil: all have room.
    local worst, longest
    for at = from, #op, 2 do
        local bound = bounds[op[at]]
        local c = counter_of(bound)
        if bound[5] == 0 and lacks_room(bound, c, op[at + 1]) then
            local wait = wait_of(bound, c, op[at + 1])
            if not longest or (longest >= 0 and (wait < 0 or wait > longest)) then
                worst, longest = at, wait
            end
        end
    end
    return worst, longest
end

local function admit(op)
    -- {1, hold, microseconds, force, age, bound, amount, …} -> {1, crossed, over, used…} or {0, position, wait, used…}
    local name, from = op[2], 6
    if holds[name] then
        return totals(op, from, { 1, 0, 0 })
    end
    if op[4] == 0 then
        local worst, wait = refusal(op, from)
        if worst then
            return totals(op, from, { 0, (worst - from) / 2, wait })
        end
    end
    local entries, crossed, over, bit = {}, 0, 0, 1
    for at = from, #op, 2 do
        local bound = bounds[op[at]]
        local c = counter_of(bound)
        if bound[5] == 1 and lacks_room(bound, c, op[at + 1]) then
            over = over + bit
        end
        take(bound, c, op[at + 1], entries, op[5])
        if tells(bound, c) then
            crossed = crossed + bit
        end
        bit = bit * 2
    end
    keep(name, pack_value(entries), op[3])
    return totals(op, from, { 1, crossed, over })
end

local function entries_of(value)
    return unpack_value(sub(value, 1, 1) == '!' and sub(value, 2) or value)
end

local function settle(op)
    -- {2, hold, {actual by measure}, taken} -> 1; 0: it was settled before; -1: `taken` is 1, and it is not known here,
    -- so that this server has lost it and must be told of it again
    local value = holds[op[2]]
    if value == '' then
        return 0
    elseif not value and op[4] == 1 then
        return -1
    end
    if value then
        settle_entries(entries_of(value), op[3])
    end
    keep(op[2], '', mark)
    return 1
end

local function extend(op)
    -- {3, hold, microseconds, bound, amount, …} -> 1; 0: no room, or no such hold. It lives on either way.
    local value = holds[op[2]]
    if not value or value == '' or sub(value, 1, 1) == '!' then
        return 0
    elseif refusal(op, 4) then
        keep(op[2], value, op[3])
        return 0
    end
    local entries = unpack_value(value)
    for at = 4, #op, 2 do
        local bound = bounds[op[at]]
        take(bound, counter_of(bound), op[at + 1], entries, 0)
    end
    keep(op[2], pack_value(entries), op[3])
    return 1
end

local function undo(op)
    -- {4, hold} -> 1: as if it had never been admitted, for a request that another place of a Cluster refused.
    local value = holds[op[2]]
    if value and value ~= '' then
        settle_entries(entries_of(value), NOTHING)
        holds[op[2]], changed[op[2]], deadlines[op[2]] = false, true, nil
    end
    return 1
end

local function held_in(c)
    if c.kind == CALENDAR then
        return c.held
    elseif c.kind ~= ROLLING then
        return 0
    end
    local names = {}
    for bucket = c.oldest, c.newest do
        names[#names + 1] = bucket
    end
    local held = 0
    for _, bucket in ipairs(names) do
        held = held + cell_of(c, bucket).held
    end
    return held
end

local function level(op)
    -- {5, bound} -> {used, reserved, end}
    local bound = bounds[op[2]]
    local c = counter_of(bound)
    if bound[2] == GAUGE then
        return { 0, c.total, 0 }
    elseif bound[2] == SMOOTH then
        return { used_of(bound, c), 0, 0 }
    end
    local held = min(c.total, held_in(c))
    return { min(c.total - held, MOST_TOLD), min(held, MOST_TOLD), bound[2] == CALENDAR and c.stop or 0 }
end

local function put(op)
    -- {6, bound, used, seen} -> 1; what the counter has used by now beyond `seen` (-1: nothing to compare) is added
    local bound, used = bounds[op[2]], op[3]
    local c = counter_of(bound)
    if op[4] >= 0 then
        used = used + max(0, level(op)[1] - op[4])
    end
    if bound[2] == CALENDAR then
        c.total = c.held + used
    elseif bound[2] == ROLLING then
        -- What was used is taken to have been used now: it leaves late, never early.
        local held = 0
        for bucket = c.oldest, c.newest do
            local cell = cell_of(c, bucket)
            cell.used, cell.dirty = cell.held, true
            held = held + cell.held
        end
        local cell = cell_of(c, c.bucket)
        cell.used, cell.dirty = cell.held + used, true
        c.total, c.newest, c.fresh, c.sorted = held + used, c.bucket, true, nil
    elseif bound[2] == SMOOTH then
        smooth_fill(bound, c, used)
    end
    c.dirty = true
    return 1
end

local restored, restored_key = {}, string.gsub(KEYS[1], 'holds$', 'restored')

local function restore(op)
    -- {8, bound, place, amount, ledger} -> what was added: of a counter that was lost, `amount` in all was used before at
    -- this place (microsecond at which its period begins, or up to which a part of its rolling window reaches). What was
    -- restored there before is remembered, so that it may be said again, and more of it may be said later.
    local bound, place, amount = bounds[op[2]], op[3], op[4]
    local c, kind = counter_of(bound), bound[2]
    local where, extent = place, c.stop
    if kind == ROLLING then
        where, extent = min(c.bucket, floor(place / c.width)), c.width
    elseif kind ~= CALENDAR or c.start ~= place then
        return 0
    end
    local name = bound[1] .. '|' .. text(place) .. '|' .. op[5]
    local more = amount - (restored[name] or tonumber(call('HGET', restored_key, name)) or 0)
    if more <= 0 then
        return 0
    end
    restored[name] = amount
    enter(c, where, extent, 0, more, 0)
    return more
end

local function write_restored()
    local fields = {}
    for name, amount in pairs(restored) do
        fields[#fields + 1], fields[#fields + 2] = name, text(amount)
    end
    if #fields > 0 then
        call('HSET', restored_key, unpack(fields))
        call('PEXPIRE', restored_key, text(RESTORED_KEPT))
    end
end

-- Write back ----------------------------------------------------------------------------------------------------------

local function write_rolling(c)
    if c.clear then
        call('DEL', c.key)
    elseif c.gone then
        call('HDEL', c.key, unpack(c.gone))
    end
    local fields = { 't', text(c.total) }
    if c.clear or c.oldest ~= c.oldest_read then
        fields[3], fields[4] = 'o', text(c.oldest)
    end
    if c.clear or c.newest ~= c.newest_read then
        local at = #fields
        fields[at + 1], fields[at + 2] = 'n', text(c.newest)
    end
    if c.tells or (c.clear and c.told) then
        local at = #fields
        fields[at + 1], fields[at + 2] = 'w', text(c.told)
    end
    for bucket, cell in pairs(c.cells) do
        if cell.dirty then
            local at, name = #fields, text(bucket)
            fields[at + 1], fields[at + 2], fields[at + 3], fields[at + 4] = name, text(cell.used), 'r' .. name, text(cell.held)
        end
    end
    call('HSET', c.key, unpack(fields))
    if c.fresh or c.clear then
        call('PEXPIRE', c.key, text(math.ceil(c.width * (BUCKETS + 2) / 1000)))
        note(c, now + c.width * (BUCKETS + 1))
    end
end

local function write(c)
    if c.kind == ROLLING then
        write_rolling(c)
    elseif c.kind == CALENDAR then
        call('HSET', c.key, 't', text(c.total), 'r', text(c.held))
        if c.fresh then
            call('HSET', c.key, 's', text(c.start), 'e', text(c.stop))
            call('PEXPIREAT', c.key, text(floor(c.stop / 1000) + 1))
            note(c, c.stop)
        end
        if c.tells then
            call('HSET', c.key, 'w', text(c.told))
        end
    elseif c.kind == SMOOTH then
        call('HSET', c.key, 'b', text(c.base), 'f', text(c.part), 'w', text(c.told or 0))
        call('PEXPIREAT', c.key, text(floor(max(c.base, c.told or 0) / 1000) + 1))
    elseif c.total > 0 then
        call('HSET', c.key, 't', text(c.total))
        if c.tells then
            call('HSET', c.key, 'w', text(c.told))
        end
        if c.before == 0 then
            call('PERSIST', c.key)
        end
    elseif c.told and c.told > now then
        call('HSET', c.key, 't', '0', 'w', text(c.told))
        call('PEXPIREAT', c.key, text(floor(c.told / 1000) + 1))
    else
        call('DEL', c.key)
    end
end

local function write_holds()
    local set, add, gone = {}, {}, {}
    for name in pairs(changed) do
        local value = holds[name]
        if value then
            set[#set + 1], set[#set + 2] = name, value
            add[#add + 1], add[#add + 2] = text(deadlines[name]), name
        else
            gone[#gone + 1] = name
        end
    end
    if #gone > 0 then
        call('HDEL', KEYS[1], unpack(gone))
        call('ZREM', KEYS[2], unpack(gone))
    end
    if #set > 0 then
        call('HSET', KEYS[1], unpack(set))
        call('ZADD', KEYS[2], unpack(add))
    end
end

local function reset_of(bound)
    -- Microseconds until everything is there again.
    local c = bound.counter
    if not c then
        return 0
    elseif bound[2] == SMOOTH then
        return max(0, c.base + (c.part > 0 and 1 or 0) - now)
    elseif c.total == 0 then
        return 0
    elseif bound[2] == CALENDAR then
        return c.stop - now
    elseif bound[2] == ROLLING then
        return (c.newest + BUCKETS + 1) * c.width - now
    end
    return GUESS
end

local work = { admit, settle, extend, undo, level, put, lease, restore }
local expired = expire(preload())
local answers, resets, ends = {}, {}, {}
for at, op in ipairs(operations) do
    answers[at] = work[op[1]](op)
end
if evicted then
    -- Nothing of all this happens: the place begins anew, and is counted again.
    call('DEL', generation)
    return redis.error_reply('EVICTED it has dropped counters')
end
for _, c in pairs(counters) do
    if c.dirty then
        write(c)
    end
end
write_holds()
write_restored()
for at, bound in ipairs(bounds) do
    resets[at] = reset_of(bound)
    ends[at] = bound.counter and used_of(bound, bound.counter) or 0
end
return pack_value({ now, expired, resets, answers, ends })
