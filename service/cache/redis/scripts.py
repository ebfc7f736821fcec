"""What Redis does in one step. Times are microseconds of the Redis server, so that one clock decides.

Three keys belong together and are in one slot of a cluster:

- an entry, a hash: `born`, `fresh` (until when), `tags` (joined by blanks), `head` (see `record`), and a body for each
  content coding, the plain one as `identity`;
- its lease, a string: the token of who computes it;
- the stamps, a sorted set: by tag the time of its last invalidation. Two members are no tags, which never hold a
  blank: ` floor`, before which everything is dead, and ` clock`, the latest time that was given out.

An entry is dead if it was born at or before the floor or the stamp of one of its tags. Stamps older than any entry can
be are removed and the floor rises with them; if all stamps are lost, the floor is now.
"""

from typing import Final

_CLOCK: Final = """
local function now_on(stamps)
  local t = redis.call('TIME')
  local now = t[1] * 1000000 + t[2]
  local latest = tonumber(redis.call('ZSCORE', stamps, ' clock') or 0)
  if now <= latest then now = latest + 1 end
  redis.call('ZADD', stamps, string.format('%.0f', now), ' clock')
  return now
end
local function floor_of(stamps)
  local floor = redis.call('ZSCORE', stamps, ' floor')
  if floor then return tonumber(floor) end
  floor = now_on(stamps)
  redis.call('ZADD', stamps, string.format('%.0f', floor), ' floor')
  return floor
end
local function is_dead(stamps, born, tags)
  if born <= floor_of(stamps) then return true end
  for tag in string.gmatch(tags, '%S+') do
    local at = redis.call('ZSCORE', stamps, tag)
    if at and tonumber(at) >= born then return true end
  end
  return false
end
"""

FETCH: Final = (
    _CLOCK
    + """
-- KEYS: entry, lease, stamps. ARGV: token, lease ms, the time up to which entries are not trusted, codings...
-- Returns state (0 fresh, 1 stale, 2 none, 3 found dead), now us, granted; of an entry also
-- born us, age us, fresh us, left ms, tags, head, bodies...
local function granted()
  if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
  return redis.call('GET', KEYS[2]) == ARGV[1] and 1 or 0
end
local f = redis.call('HMGET', KEYS[1], 'born', 'fresh', 'tags', 'head', unpack(ARGV, 4))
if not f[1] then
  floor_of(KEYS[3])
  return {2, now_on(KEYS[3]), granted()}
end
local born = tonumber(f[1])
if born <= tonumber(ARGV[3]) or is_dead(KEYS[3], born, f[3]) then
  redis.call('DEL', KEYS[1])
  return {3, now_on(KEYS[3]), granted()}
end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local fresh = tonumber(f[2]) - now
local left = redis.call('PTTL', KEYS[1])
if fresh > 0 then return {0, now, 0, born, now - born, fresh, left, f[3], f[4], unpack(f, 5, #ARGV + 1)} end
return {1, now_on(KEYS[3]), granted(), born, now - born, fresh, left, f[3], f[4], unpack(f, 5, #ARGV + 1)}
"""
)

PUT: Final = (
    _CLOCK
    + """
-- KEYS: entry, lease, stamps. ARGV: token, born, fresh us, life ms, tags, head, body. Returns 0 if the entry is dead.
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
local born = tonumber(ARGV[2])
if is_dead(KEYS[3], born, ARGV[5]) then return 0 end
local kept = redis.call('HGET', KEYS[1], 'born')
if kept and tonumber(kept) > born then return 1 end
local t = redis.call('TIME')
local fresh = t[1] * 1000000 + t[2] + tonumber(ARGV[3])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'born', ARGV[2], 'fresh', string.format('%.0f', fresh), 'tags', ARGV[5],
  'head', ARGV[6], 'identity', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
)

FORGET: Final = """
-- KEYS: entry.
return redis.call('DEL', KEYS[1])
"""

RELEASE: Final = """
-- KEYS: lease. ARGV: token, how many ms it is held longer.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

ATTACH: Final = """
-- KEYS: entry. ARGV: born, coding, body.
if redis.call('HGET', KEYS[1], 'born') ~= ARGV[1] then return 0 end
return redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
"""

INVALIDATE: Final = (
    _CLOCK
    + """
-- KEYS: stamps. ARGV: settle us, retention us, channel, origin, tags...; the tag ` all` stands for every tag.
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
