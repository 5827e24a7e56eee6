"""What wrk sends: a new body with each request. Tags from the environment keep the runs apart."""

from __future__ import annotations

_JSON = 'wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)'

#: a user that nobody has made before
NEW_USER = f"""
local n = 0
request = function()
  n = n + 1
  local body = string.format('{{"email": "%s%d@example.com", "name": "Load"}}', os.getenv("BENCH_TAG"), n)
  return {_JSON}
end
"""

#: a registration of an address that nobody has
REGISTER = f"""
local n = 0
request = function()
  n = n + 1
  local body = string.format(
    '{{"email": "%s%d@example.com", "name": "Load", "password": "SecurePass123!"}}', os.getenv("BENCH_TAG"), n)
  return {_JSON}
end
"""

#: bodies from a file, one a line, again and again
IN_TURN = f"""
local bodies, n = {{}}, 0
for line in io.lines(os.getenv("BENCH_FILE")) do bodies[#bodies + 1] = line end
request = function()
  n = n + 1
  local body = bodies[(n - 1) % #bodies + 1]
  return {_JSON}
end
"""

#: each token once: the answers hold the next ones
REFRESH = f"""
local tokens = {{}}
for line in io.lines(os.getenv("BENCH_FILE")) do tokens[#tokens + 1] = line end
request = function()
  local body = string.format('{{"refresh_token": "%s"}}', table.remove(tokens, 1))
  return {_JSON}
end
response = function(status, headers, body)
  tokens[#tokens + 1] = string.match(body, '"refresh_token":"([^"]+)"')
end
"""
