#!/bin/bash
# Starts Trino as whoever runs this, with the configuration in /etc/trino and everything that it writes below /data. Arguments go to Java.
#
#   TRINO_SCHEMAS   schemas, as catalog.schema, that are made where they are missing
#
# /data/ready is there once they are: a probe looks for that file.
set -euo pipefail

rm -f /data/ready
mkdir -p /data/tmp /data/local

# A statement is done when its answer names no next page.
statement() {
    local answer next
    answer=$(curl --silent --show-error --fail --header 'X-Trino-User: crucible' --data "$1" http://127.0.0.1:8080/v1/statement) || return 1
    while next=$(grep --only-matching '"nextUri":"[^"]*"' <<<"$answer" | cut -d '"' -f 4) && [ -n "$next" ]; do
        answer=$(curl --silent --show-error --fail --header 'X-Trino-User: crucible' "$next") || return 1
    done
    # The last page of one that failed says why.
    if grep --quiet '"error":' <<<"$answer"; then
        echo "entrypoint: $1: $(grep --only-matching --max-count=1 '"message":"[^"]*"' <<<"$answer" | head -n 1)" >&2
        return 1
    fi
}

# A coordinator accepts queries before it is ready for them, and before it has seen its first worker, which is itself.
prepare() {
    local schema
    until curl --silent --fail http://127.0.0.1:8080/v1/info 2>/dev/null | grep --quiet '"starting":false'; do sleep 0.5; done
    until curl --silent --fail --header 'X-Trino-User: crucible' http://127.0.0.1:8080/v1/status 2>/dev/null | grep --quiet nodeId; do sleep 0.5; done
    for schema in ${TRINO_SCHEMAS:-}; do
        until statement "CREATE SCHEMA IF NOT EXISTS $schema"; do sleep 1; done
        echo "entrypoint: schema $schema is there"
    done
    touch /data/ready
}
prepare &

exec /opt/java/bin/java -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256M -XX:+ExitOnOutOfMemoryError -Djdk.attach.allowAttachSelf=true \
    -Djava.io.tmpdir=/data/tmp --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
    -Dnode.environment=crucible -Dnode.data-dir=/data/state -Dplugin.dir=/opt/trino/plugin -Dconfig=/etc/trino/config.properties \
    -Dlog.levels-file=/etc/trino/log.properties -Dcatalog.config-dir=/etc/trino/catalog "$@" -cp '/opt/trino/lib/*' io.trino.server.TrinoServer
