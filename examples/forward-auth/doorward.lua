-- `http-request lua.doorward HOST:PORT`: asks Doorward whether a request may pass.

local ASKED = "http://%s/auth/verify"
-- What the answer says of the client; empty where there is nothing to say.
local IDENTITY = "^x%-auth%-"

core.register_action("doorward", { "http-req" }, function(txn, address)
  local function sent(name)
    local lines = txn.http:req_get_headers()[name]
    return lines and lines[0]
  end
  local question = {
    ["x-forwarded-method"] = { txn.f:method() },
    ["x-forwarded-host"] = { sent("host") or "" },
    ["x-forwarded-uri"] = { txn.f:pathq() },
    ["x-forwarded-for"] = { txn.f:src() },
  }
  -- All that Doorward looks at besides; nothing else of the client's request is passed on.
  for _, name in ipairs({ "authorization", "x-request-id" }) do
    local value = sent(name)
    if value then question[name] = { value } end
  end

  local client = core.httpclient()
  local answer = client:get({ url = string.format(ASKED, address), headers = question, timeout = 5000 })
  if answer and answer.status == 200 then
    for name, values in pairs(answer.headers) do
      local value = values[0] or values[1]
      if name:match(IDENTITY) and value and value ~= "" then
        txn.http:req_set_header(name, value)
      end
    end
    return
  end

  local reply = txn:reply({ status = 503, body = "" })
  if answer and answer.status and answer.status >= 400 then
    reply:set_status(answer.status)
    for _, name in ipairs({ "content-type", "www-authenticate", "x-doorward-error", "retry-after", "x-request-id" }) do
      local values = answer.headers[name]
      local value = values and (values[0] or values[1])
      if value then reply:add_header(name, value) end
    end
    reply:set_body(answer.body or "")
  end
  reply:add_header("cache-control", "no-store")
  txn:done(reply)
end, 1)
