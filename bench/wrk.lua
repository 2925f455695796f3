-- wrk: each request with the next key of KEYS_FILE, built once. MODE is what is asked: call (default), verify
-- (POST /v1/keys/verify) or auth (GET /v1/auth/...), the latter two with the caller's token in TOKEN.
local requests, at = {}, 0
local mode, token = os.getenv("MODE") or "call", os.getenv("TOKEN")

local function request_with(key)
  if mode == "verify" then
    local question = string.format('{"key":"%s","product":"bench","operation":"GET /parcels/{id}"}', key)
    local headers = { ["X-Keytoll-Auth"] = token, ["Content-Type"] = "application/json" }
    return wrk.format("POST", nil, headers, question)
  end
  return wrk.format("GET", nil, { ["X-Api-Key"] = key, ["X-Keytoll-Auth"] = mode == "auth" and token or nil })
end

function init()
  for key in io.lines(os.getenv("KEYS_FILE")) do
    requests[#requests + 1] = request_with(key)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
