#!/bin/sh
# Runs the scenarios of the public conformance suite that hold for any server. The words: Node, the directory that `npm ci` was run in, and the
# server's address.
set -eu
node=${1:?Node, 22 or newer}
suite=${2:?the directory with node_modules}/node_modules/@modelcontextprotocol/conformance/dist/index.js
url=${3:?the address of /mcp}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0
for scenario in server-initialize ping tools-list resources-list prompts-list dns-rebinding-protection; do
    if "$node" "$suite" server --url "$url" --scenario "$scenario" --output-dir "$logs" >"$logs/said" 2>&1; then
        echo "ok      $scenario"
    else
        echo "FAILED  $scenario"
        cat "$logs/said"
        failed=1
    fi
done
exit $failed
