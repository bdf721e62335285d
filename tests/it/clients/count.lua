-- Prints one line for the test to read: requests, then errors by kind. What follows the URL is the method.
init = function(args)
    wrk.method = args[1] or "GET"
end

done = function(summary)
    local errors = summary.errors
    print(string.format("counted %d %d %d %d %d %d", summary.requests,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
