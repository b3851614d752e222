-- Counts one request in every window, or in none if one of them says no. KEYS: the counts of one caller at one route.
-- ARGV: count and milliseconds of each window; before them milliseconds now, or 0 for the server's clock.
-- Gives 1 or 0, then of each window: milliseconds since it began, counts before and now.
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local held = redis.call('GET', KEYS[1])
local state, answer, size, longest = held and cmsgpack.unpack(held) or {}, {1}, 0, 0
for argument = 2, #ARGV, 2 do
  local count, length = tonumber(ARGV[argument]), tonumber(ARGV[argument + 1])
  local start, before, current = state[size + 1] or now, state[size + 2] or 0, state[size + 3] or 0
  local elapsed = now - start
  if elapsed < 0 then
    elapsed = 0
  elseif elapsed >= 2 * length then
    start, elapsed, before, current = now, 0, 0, 0
  elseif elapsed >= length then
    start, elapsed, before, current = start + length, elapsed - length, current, 0
  end
  if current + math.floor(before * (length - elapsed - 1) / length) >= count then
    answer[1] = 0
  end
  state[size + 1], state[size + 2], state[size + 3] = start, before, current + 1
  answer[size + 2], answer[size + 3], answer[size + 4] = elapsed, before, current
  size = size + 3
  if length > longest then
    longest = length
  end
end
if answer[1] == 1 then
  for place = 4, size + 1, 3 do
    answer[place] = answer[place] + 1
  end
  redis.call('SET', KEYS[1], cmsgpack.pack(state), 'PX', 2 * longest)
end
return answer
