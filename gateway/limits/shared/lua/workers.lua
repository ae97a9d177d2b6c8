-- Which workers live: each says so every second, and is forgotten when it did not for a while.
--
-- KEYS[1]  sorted set: worker -> microsecond at which it was last heard of
-- ARGV     this worker, or "" to be told only; microseconds until a silent worker is forgotten; 1: it says goodbye
-- -> how many live

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if ARGV[3] == '1' then
    redis.call('ZREM', KEYS[1], ARGV[1])
elseif ARGV[1] ~= '' then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[2]))
return redis.call('ZCARD', KEYS[1])
