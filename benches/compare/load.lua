-- For wrk: sends the tokens of a file one after the other, and prints what was measured as one line of JSON.
-- Arguments: the file of the tokens (or -), and how many bytes to POST (or 0). Without arguments: the request as it is.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  sent = 0
  made = 0
  if args[1] == nil then return end
  local bytes = tonumber(args[2])
  if bytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", bytes)
  end
  if args[1] == "-" then return end
  local requests = {}
  for token in io.lines(args[1]) do
    wrk.headers["Authorization"] = "Bearer " .. token
    table.insert(requests, wrk.format())
  end
  made = #requests
  request = function()
    sent = sent + 1
    return requests[(sent - 1) % made + 1]
  end
end

function done(summary, latency, requests)
  local sent, made = 0, 0
  for _, thread in ipairs(threads) do
    sent = sent + thread:get("sent")
    made = made + thread:get("made")
  end
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "p999_ms": %.3f, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}, ' ..
    '"tokens_made": %d, "tokens_sent": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
    e.connect, e.read, e.write, e.timeout, e.status, made, sent))
end
