"""The Lua scripts of the shared store. Times are microseconds of the Redis server: one clock for every process.

Three keys belong together and are in one slot of a cluster:

- an entry, a hash: `created`, `fresh` (until when), `tags` (separated by blanks), `head` (see `record`), and a body for
  each content coding, the uncompressed one as `identity`;
- its lease, a string: the token of the process that computes it;
- the invalidations, a sorted set: the time of the last invalidation by tag. Two members begin with a blank, which tags
  cannot contain: ` floor`, up to which every entry is invalidated, and ` clock`, the latest time handed out.

An entry is invalidated if it was created at or before the floor or an invalidation of one of its tags. Invalidations
older than the longest lifetime are removed, and the floor rises with them; if all are lost, the floor is now.
"""

from typing import Final

_CLOCK: Final = """
local function now_on(invalidations)
  local t = redis.call('TIME')
  local now = t[1] * 1000000 + t[2]
  local latest = tonumber(redis.call('ZSCORE', invalidations, ' clock') or 0)
  if now <= latest then now = latest + 1 end
  redis.call('ZADD', invalidations, string.format('%.0f', now), ' clock')
  return now
end
local function floor_of(invalidations)
  local floor = redis.call('ZSCORE', invalidations, ' floor')
  if floor then return tonumber(floor) end
  floor = now_on(invalidations)
  redis.call('ZADD', invalidations, string.format('%.0f', floor), ' floor')
  return floor
end
local function is_invalidated(invalidations, created, tags)
  if created <= floor_of(invalidations) then return true end
  for tag in string.gmatch(tags, '%S+') do
    local at = redis.call('ZSCORE', invalidations, tag)
    if at and tonumber(at) >= created then return true end
  end
  return false
end
"""

FETCH: Final = (
    _CLOCK
    + """
-- KEYS: entry, lease, invalidations.
-- ARGV: token, lease ms, the time up to which every entry counts as invalidated, codings...
-- Returns state (0 fresh, 1 stale, 2 none, 3 invalidated), now us, granted; of an entry also
-- created us, age us, fresh us, left ms, tags, head, bodies...
local function granted()
  if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
  return redis.call('GET', KEYS[2]) == ARGV[1] and 1 or 0
end
local f = redis.call('HMGET', KEYS[1], 'created', 'fresh', 'tags', 'head', unpack(ARGV, 4))
if not f[1] then
  floor_of(KEYS[3])
  return {2, now_on(KEYS[3]), granted()}
end
local created = tonumber(f[1])
if created <= tonumber(ARGV[3]) or is_invalidated(KEYS[3], created, f[3]) then
  redis.call('DEL', KEYS[1])
  return {3, now_on(KEYS[3]), granted()}
end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local fresh = tonumber(f[2]) - now
local left = redis.call('PTTL', KEYS[1])
if fresh > 0 then return {0, now, 0, created, now - created, fresh, left, f[3], f[4], unpack(f, 5, #ARGV + 1)} end
return {1, now_on(KEYS[3]), granted(), created, now - created, fresh, left, f[3], f[4], unpack(f, 5, #ARGV + 1)}
"""
)

PUT: Final = (
    _CLOCK
    + """
-- KEYS: entry, lease, invalidations.
-- ARGV: token, created, fresh us, life ms, tags, head, body. Returns 0 if the entry was invalidated.
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
local created = tonumber(ARGV[2])
if is_invalidated(KEYS[3], created, ARGV[5]) then return 0 end
local stored = redis.call('HGET', KEYS[1], 'created')
if stored and tonumber(stored) > created then return 1 end
local t = redis.call('TIME')
local fresh = t[1] * 1000000 + t[2] + tonumber(ARGV[3])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'created', ARGV[2], 'fresh', string.format('%.0f', fresh), 'tags', ARGV[5],
  'head', ARGV[6], 'identity', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
)

DELETE: Final = """
-- KEYS: entry.
return redis.call('DEL', KEYS[1])
"""

RELEASE: Final = """
-- KEYS: lease. ARGV: token, ms until the next lease.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

ATTACH: Final = """
-- KEYS: entry. ARGV: created, coding, body.
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[1] then return 0 end
return redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
"""

INVALIDATE: Final = (
    _CLOCK
    + """
-- KEYS: invalidations.
-- ARGV: replica lag grace us, retention us, channel, origin, tags...; the tag ` all` means every tag.
-- Returns the time of the invalidation.
local now = now_on(KEYS[1])
local floor = floor_of(KEYS[1])
for i = 5, #ARGV do
  if ARGV[i] == ' all' then
    floor = now
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), ' floor')
  else
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])), ARGV[i])
  end
end
local oldest = now - tonumber(ARGV[2])
if floor < oldest then redis.call('ZADD', KEYS[1], string.format('%.0f', oldest), ' floor') end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', oldest))
redis.call('PUBLISH', ARGV[3], ARGV[4] .. '\\n' .. table.concat(ARGV, '\\n', 5))
return string.format('%.0f', now)
"""
)
