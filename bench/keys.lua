-- wrk: each request with the next key of KEYS_FILE, built once.
local requests, at = {}, 0
function init()
  for key in io.lines(os.getenv("KEYS_FILE")) do
    requests[#requests + 1] = wrk.format("GET", nil, { ["X-Api-Key"] = key })
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
