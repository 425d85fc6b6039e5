#!/bin/sh
# Runs the scenarios of the public conformance suite that hold for any server. The first word is the server's address.
set -eu
url=${1:?the address of /mcp}
failed=0
for scenario in server-initialize ping tools-list resources-list prompts-list dns-rebinding-protection; do
    if npx --yes @modelcontextprotocol/conformance@0.1.16 server --url "$url" --scenario "$scenario" >"${TMPDIR:-/tmp}/conformance-$scenario.log" 2>&1; then
        echo "ok      $scenario"
    else
        echo "FAILED  $scenario (${TMPDIR:-/tmp}/conformance-$scenario.log)"
        failed=1
    fi
done
exit $failed
