/**
 * The atomic steps on reservations, as scripts by Redis's own clock. All keys of a region share one
 * hash tag.
 *
 * A reservation is a hash: `deadline` (milliseconds since the epoch), `body` (JSON), `host:<number>`
 * for each offer, and once claimed `claimant` and `host`. A sorted set has the deadlines. The TTL of
 * keys is longer and only collects garbage: Redis deletes expired keys late.
 */

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

const RETURN_IF_LIVE = `
local known = redis.call('HMGET', KEYS[1], 'deadline', 'body', 'claimant', 'host')
if known[1] and now < tonumber(known[1]) then return {'live', known[2], known[3] or '', known[4] or ''} end
`;

/**
 * KEYS: reservation. Returns `live`, body, claimant and claimed host (empty for none), or `none` and
 * the time.
 */
export const FIND = `${NOW}${RETURN_IF_LIVE}
return {'none', now}
`;

/**
 * KEYS: reservation, deadlines. ARGV: id, deadline, body, TTL of keys in ms, limit of reservations,
 * claimant (empty for none), numbers of the hosts, best first. Returns as FIND, or `late`, `full` or
 * `stored`.
 */
export const PUT = `${NOW}${RETURN_IF_LIVE}
if now >= tonumber(ARGV[2]) then return {'late'} end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return {'full'} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'deadline', ARGV[2], 'body', ARGV[3])
for i = 7, #ARGV do redis.call('HSET', KEYS[1], 'host:' .. ARGV[i], '1') end
if ARGV[6] ~= '' and ARGV[7] then redis.call('HSET', KEYS[1], 'claimant', ARGV[6], 'host', ARGV[7]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'stored'}
`;

/** KEYS: reservation. ARGV: claimant, host. Returns `claimed` and the body, or why not. */
export const CLAIM = `${NOW}
local known = redis.call('HMGET', KEYS[1], 'deadline', 'body', 'claimant', 'host:' .. ARGV[2])
if not known[1] or now >= tonumber(known[1]) then return {'expired'} end
if known[3] and known[3] ~= ARGV[1] then return {'taken'} end
if not known[4] then return {'unknown'} end
redis.call('HSET', KEYS[1], 'claimant', ARGV[1], 'host', ARGV[2])
return {'claimed', known[2]}
`;

/** KEYS: reservation, deadlines. ARGV: id. Returns the body, or false. */
export const REMOVE = `
local body = redis.call('HGET', KEYS[1], 'body')
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return body
`;

/**
 * KEYS: deadlines. ARGV: limit, deadline and id behind which the list begins (0 and empty: all). Returns the number of live
 * reservations, then ids by deadline.
 */
export const LIST = `${NOW}
local limit, deadline = tonumber(ARGV[1]), tonumber(ARGV[2])
local from = deadline > tonumber(now) and ARGV[2] or '(' .. now
local found, skip = {redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')}, 0
repeat
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', skip, limit)
  for i = 1, #ids, 2 do
    local isBefore = tonumber(ids[i + 1]) == deadline and ids[i] <= ARGV[3]
    if not isBefore and #found <= limit then found[#found + 1] = ids[i] end
  end
  skip = skip + limit
until #ids < 2 * limit or #found > limit
return found
`;

/** KEYS: reservations. Returns body, claimant and claimed host (empty for none) of each that exists. */
export const READ = `
local found = {}
for i = 1, #KEYS do
  local known = redis.call('HMGET', KEYS[i], 'body', 'claimant', 'host')
  if known[1] then
    found[#found + 1] = known[1]
    found[#found + 1] = known[2] or ''
    found[#found + 1] = known[3] or ''
  end
end
return found
`;

/** KEYS: deadlines. ARGV: limit. Returns the ids of expired reservations, oldest first. */
export const DUE = `${NOW}
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
`;

/**
 * KEYS: deadlines, then a reservation each. ARGV: ids. Removes those that are still due, and returns
 * body and claimed host (empty for none) of each. Another replica that does the same gets none of them.
 */
export const EXPIRE = `${NOW}
local ended = {}
for i = 1, #ARGV do
  local deadline = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if deadline and tonumber(deadline) <= now then
    local known = redis.call('HMGET', KEYS[i + 1], 'body', 'host')
    redis.call('DEL', KEYS[i + 1])
    redis.call('ZREM', KEYS[1], ARGV[i])
    if known[1] then
      ended[#ended + 1] = known[1]
      ended[#ended + 1] = known[2] or ''
    end
  end
end
return ended
`;
