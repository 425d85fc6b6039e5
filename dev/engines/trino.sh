#!/bin/sh
# Trino 476 from Maven, on Java 25, which trino/java.txt pins: one node that is coordinator and worker, with the connectors memory, tpch and hive; and
# for hive an S3 server over a directory, the one of the development cluster.
NAME=trino
. "$(dirname "$0")/common.sh"
RUNS_AS=nobody
PORT=28443
PLAIN=28080
S3=29000
VERSION=476
PLACE=$CACHE/trino-$VERSION
PLUGINS="memory tpch hive"
VERSITYGW=${CRUCIBLE_VERSITYGW:-}
JAVA=${CRUCIBLE_JAVA_25:-/usr/lib/jvm/temurin-25-jdk-amd64/bin/java}

fetch() {
    [ -x "$JAVA" ] || { echo "Java 25 is missing: use cargo xtask engines, or set CRUCIBLE_JAVA_25 to a java of that version" >&2; return 1; }
    [ -x "$VERSITYGW" ] || { echo "versitygw is missing: use cargo xtask engines, or set CRUCIBLE_VERSITYGW to the program" >&2; return 1; }
    fetch_artifact "io/trino/trino-server-core/$VERSION/trino-server-core-$VERSION.tar.gz"
    for plugin in $PLUGINS; do fetch_artifact "io/trino/trino-$plugin/$VERSION/trino-$plugin-$VERSION.zip"; done
}

# unpack puts the server with its plugins below the cache, once.
unpack() {
    missing=
    for plugin in $PLUGINS; do [ -d "$PLACE/plugin/trino-$plugin-$VERSION" ] || missing=$plugin; done
    [ -n "$missing" ] || return 0
    rm -rf "$PLACE.part" "$PLACE"
    mkdir -p "$PLACE.part"
    tar -xzf "$CACHE/maven/trino-server-core-$VERSION.tar.gz" -C "$PLACE.part" --strip-components=1
    for plugin in $PLUGINS; do
        (cd "$PLACE.part" && mkdir -p plugin && python3 -m zipfile -e "$CACHE/maven/trino-$plugin-$VERSION.zip" plugin)
    done
    mv "$PLACE.part" "$PLACE"
}

# answers succeeds where a query over rows comes to its end.
answers() {
    python3 - "http://127.0.0.1:$PLAIN/v1/statement" <<'END'
import json, sys, urllib.request

def ask(url, sql=None):
    return json.load(urllib.request.urlopen(urllib.request.Request(url, sql, {"X-Trino-User": "crucible"}), timeout=30))

page = ask(sys.argv[1], b"SELECT count(*) FROM tpch.tiny.region")
while "nextUri" in page:
    page = ask(page["nextUri"])
sys.exit("error" in page)
END
}

start() {
    fetch
    unpack
    certificate
    if [ ! -d "$DATA/etc" ]; then
        # A directory below is a bucket.
        mkdir -p "$DATA/tmp" "$DATA/local" "$DATA/s3/crucible"
        cp -r "$HERE/trino" "$DATA/etc"
        cat "$CERTIFICATE" "$STATE/key.pem" >"$DATA/etc/server.pem"
        find "$DATA/etc" -type f -exec sed -i "s|DATA|$DATA|" {} +
        python3 -c "import hashlib; print('crucible:1000:' + b'crucible'.hex() + ':' + hashlib.pbkdf2_hmac('sha1', b'$PASSWORD', b'crucible', 1000, 20).hex())" >"$DATA/etc/passwords"
        cp "$VERSITYGW" "$DATA/versitygw"
        cp -rl "$PLACE" "$DATA/server" 2>/dev/null || cp -r "$PLACE" "$DATA/server"
        own "$DATA"
        chmod -R a+rX "$DATA/server"
    fi
    # Both are of one group, which ends as a whole.
    launch sh -c 'ROOT_ACCESS_KEY=crucible ROOT_SECRET_KEY="$1" "$2/versitygw" --port "127.0.0.1:$3" --region us-east-1 --quiet posix "$2/s3" & shift 3; exec "$@"' \
        sh "$PASSWORD" "$DATA" "$S3" \
        $YIELDING "$(java "$JAVA")" -Xmx1200m -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256M -Djdk.attach.allowAttachSelf=true -Djava.io.tmpdir="$DATA/tmp" \
        --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
        -Dnode.environment=test -Dnode.id=crucible -Dnode.bind-ip=127.0.0.1 -Dnode.data-dir="$DATA/data" -Dplugin.dir="$DATA/server/plugin" -Dconfig="$DATA/etc/config.properties" -Dlog.levels-file="$DATA/etc/log.properties" \
        -Dcatalog.config-dir="$DATA/etc/catalog" -cp "$DATA/server/lib/*" io.trino.server.TrinoServer
    await 180 sh -c "curl --silent --fail http://127.0.0.1:$PLAIN/v1/info | grep -q '\"starting\":false'"
    # A coordinator accepts queries before it has seen its first worker, which is itself.
    await 60 sh -c "curl --silent --fail --header 'X-Trino-User: crucible' http://127.0.0.1:$PLAIN/v1/status | grep -q nodeId"
    await 20 curl --silent "http://127.0.0.1:$S3/"
    # A coordinator that answers may not have found itself among the nodes yet: a query that reads something then has none to run on.
    await 60 answers
}

environment() {
    variables CRUCIBLE_TEST_TRINO "trino://crucible:$PASSWORD@127.0.0.1:$PORT/memory.default?tls=insecureSkipVerify"
    echo "export CRUCIBLE_TEST_TRINO_PLAIN=$PLAIN"
    echo "export CRUCIBLE_TEST_S3='http://crucible:$PASSWORD@127.0.0.1:$S3/crucible'"
    echo "export CRUCIBLE_VERSITYGW='$VERSITYGW'"
    echo "export CRUCIBLE_JAVA_25='$JAVA'"
}

case ${1:-} in
# For images: the server without a place to run in.
unpack) fetch; unpack ;;
place) echo "$PLACE" ;;
*) verb "$@" ;;
esac
