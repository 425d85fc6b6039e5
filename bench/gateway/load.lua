-- What wrk asks and what it prints at the end. Arguments: the kind of request, then what that kind needs.
--
--   path PATH        the same path again and again
--   status FILE      the status of runs whose ids are the lines of FILE, each in turn
--   submit PLAN      a run of a stored plan, each with a label of its own

local ids, at, path, headers = {}, 0, nil, {["content-type"] = "application/json"}

function init(arguments)
    local kind, word = arguments[1], arguments[2]
    if kind == "status" then
        for id in io.lines(word) do ids[#ids + 1] = id end
        request = function()
            at = at % #ids + 1
            return wrk.format("GET", "/v1/test-runs/" .. ids[at] .. "/status")
        end
    elseif kind == "submit" then
        path = "/v1/test-runs/" .. word
        request = function()
            at = at + 1
            return wrk.format("POST", path, headers, '{"label":"bench-' .. at .. '","cluster_spec":{"type":"mysql"}}')
        end
    else
        local text = wrk.format("GET", word)
        request = function() return text end
    end
end

function done(summary, latency)
    local wrong = summary.errors
    io.write(string.format(
        'wrk {"requests":%d,"micros":%d,"bytes":%d,"p50":%d,"p99":%d,"max":%d,"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), latency.max,
        wrong.status, wrong.connect + wrong.read + wrong.write + wrong.timeout))
end
