#!/bin/bash
# The published examples, one command after another, as somebody at a terminal would type them:
#
#   curl.sh API PLACE PLAN
#
# PLACE holds PLAN.yaml and workload.json; every answer is left there as STEP.json.
set -euo pipefail
api=$1 place=$2 plan=$3

say() { # STEP: shows the answer of a step
    echo "== $1"
    cat "$place/$1.json"
    echo
}

field() { # STEP FIELD: a text out of the answer of a step
    sed -n "s/.*\"$2\" *: *\"\([^\"]*\)\".*/\1/p" "$place/$1.json" | head -n 1
}

# Upload a plan.
curl -sSf -X POST "$api/test-plans/upload" -F "file=@$place/$plan.yaml" -o "$place/upload.json"
say upload

# Upload the workload that it names.
curl -sSf -X POST "$api/v1/workloads" -H 'Content-Type: application/json' -d "@$place/workload.json" -o "$place/workload-answer.json"
say workload-answer

# Trigger a run by the plan's name, without a body.
curl -sSf -X POST "$api/v1/test-runs/$plan" -o "$place/trigger.json"
say trigger
run=$(field trigger run_id)

# Poll the status.
for _ in $(seq 240); do
    curl -sSf "$api/v1/test-runs/$run/status" -o "$place/status.json"
    status=$(field status status)
    case $status in COMPLETED | FAILED) break ;; esac
    sleep 0.5
done
say status
[ "$status" = COMPLETED ]

# Read results and artifacts.
curl -sSf "$api/v1/test-runs/$run/results" -o "$place/results.json"
say results
curl -sSf "$api/v1/test-runs/$run/artifacts" -o "$place/artifacts.json"
say artifacts

# Look it up among all runs with its label.
curl -sSf "$api/v1/test-runs?run_label=$plan" -o "$place/list.json"
say list

# Stop it; it has ended already.
curl -sSf -X POST "$api/v1/test-runs/$run/stop" -o "$place/stop.json"
say stop
