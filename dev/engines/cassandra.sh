#!/bin/sh
# Cassandra 5.0.9 from Maven, on Java 17; cassandra/jars.txt pins everything on its class path, cassandra/java.txt a Java
# that Python's package index has.
NAME=cassandra
. "$(dirname "$0")/common.sh"
RUNS_AS=nobody
PORT=29042
JAVA=${CRUCIBLE_JAVA_17:-/usr/lib/jvm/java-17-openjdk-amd64/bin/java}

# heap is how much memory Java has for objects, in MiB: little for tests, which start much else; for a bench what Cassandra's own cassandra-env.sh would
# give it on this machine, and of that as much for what is not written to files yet as it takes by itself. With little it writes small files and merges
# them again while it is being measured.
heap() {
    [ "$FOR" = bench ] || { echo 1024; return; }
    awk '/^MemTotal:/ { half = $2 / 2048; quarter = half / 2; print int(quarter > 8192 ? 8192 : quarter > 1024 ? quarter : half > 1024 ? 1024 : half) }' /proc/meminfo
}

# each calls a function with the path of each jar in Maven's repository.
each() {
    while IFS=: read -r group artifact version classifier; do
        "$1" "$(echo "$group" | tr . /)/$artifact/$version/$artifact-$version${classifier:+-$classifier}.jar"
    done <"$HERE/cassandra/jars.txt"
}

fetch() {
    [ -x "$JAVA" ] || { echo "Java 17 is missing: use cargo xtask engines, or set CRUCIBLE_JAVA_17 to a java of that version" >&2; return 1; }
    each fetch_artifact
}

jar_of() { printf '%s/jars/%s:' "$DATA" "$(basename "$1")"; }

link() { cp -l "$CACHE/maven/$(basename "$1")" "$DATA/jars/" 2>/dev/null || cp "$CACHE/maven/$(basename "$1")" "$DATA/jars/"; }

start() {
    fetch
    certificate
    if [ ! -d "$DATA/jars" ]; then
        mkdir -p "$DATA/jars" "$DATA/tmp"
        each link
        openssl pkcs12 -export -in "$CERTIFICATE" -inkey "$STATE/key.pem" -out "$DATA/keystore.p12" -passout pass:crucible
        for directory in data commitlog caches hints cdc; do mkdir -p "$DATA/$directory"; done
        own "$DATA"
        chmod -R a+rX "$DATA/jars"
    fi
    # That of this start, whoever the data was made for.
    sed "s|DATA|$DATA|" "$HERE/cassandra/cassandra.yaml" >"$DATA/cassandra.yaml"
    [ "$FOR" != bench ] || sed -i '/^memtable_.*_space/d' "$DATA/cassandra.yaml"
    set --
    heap=$(heap)
    for package in java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.management.rmi/com.sun.jmx.remote.internal.rmi \
        java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql java.rmi/sun.rmi.transport.tcp jdk.attach/sun.tools.attach jdk.compiler/com.sun.tools.javac.file; do
        set -- "$@" "--add-exports=$package=ALL-UNNAMED"
    done
    for package in java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.math java.base/java.net java.base/java.nio \
        java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/jdk.internal.loader java.base/jdk.internal.math \
        java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch \
        jdk.management/com.sun.management.internal java.rmi/sun.rmi.transport.tcp; do
        set -- "$@" "--add-opens=$package=ALL-UNNAMED"
    done
    launch $YIELDING "$(java "$JAVA")" -Xms${heap}m -Xmx${heap}m -XX:+UseSerialGC -Xss512k "$@" -Djava.io.tmpdir="$DATA/tmp" -Duser.home="$DATA/tmp" \
        -Dcassandra.config="file://$DATA/cassandra.yaml" -Dcassandra.storagedir="$DATA" -Dcassandra.logdir="$DATA" -Dcassandra-foreground=yes \
        -Dcassandra.superuser_setup_delay_ms=0 -Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0 -Djdk.attach.allowAttachSelf=true \
        -cp "$(each jar_of)" org.apache.cassandra.service.CassandraDaemon
    await 120 grep -q "Starting listening for CQL clients" "$DATA/log"
    await 60 grep -q -E "Created default superuser role|made-before" "$DATA/log" "$DATA/made"
    echo made-before >"$DATA/made"
}

environment() {
    variables CRUCIBLE_TEST_CASSANDRA "cassandra://cassandra:cassandra@127.0.0.1:$PORT/crucible"
    echo "export CRUCIBLE_JAVA_17='$JAVA'"
}

verb "$@"
