-- Asks for the newest candle of each symbol in turn.
local symbols = { "ADA", "AVAX", "BTC", "DOGE", "ETH", "POL", "SOL", "XRP" }
local requests = {}
local turn = 0

function init()
  for place, symbol in ipairs(symbols) do
    requests[place] = wrk.format("GET", "/api/v1/latest/" .. symbol)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
