# What the servers under dev/engines share. Sourced by each of them; the caller has set NAME.
#
#   NAME.sh fetch    get what it needs into the cache
#   NAME.sh start    start it, with an empty data directory the first time, and wait until it answers
#   NAME.sh kill     kill it as a crash would
#   NAME.sh stop     end it and remove its data
#   NAME.sh status   succeed where it is up
#   NAME.sh env      print the variables that the conformance suite reads
#
# Everything listens on loopback, on ports that no well-known server has. Data is below CRUCIBLE_ENGINES_STATE, what was
# fetched below CRUCIBLE_ENGINES_CACHE.
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
STATE=${CRUCIBLE_ENGINES_STATE:-/var/tmp/crucible-engines-$(id -u)}
CACHE=${CRUCIBLE_ENGINES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crucible/engines}
MAVEN=${CRUCIBLE_MAVEN:-https://repo1.maven.org/maven2}
DATA=$STATE/$NAME
CERTIFICATE=$STATE/certificate.pem
PASSWORD=crucible-test-only

# certificate makes the one certificate of all servers: for localhost, signed by itself, gone with the state. No authority by its own
# word: rustls takes none for a server.
certificate() {
    mkdir -p "$STATE"
    chmod 755 "$STATE"
    # One that an earlier version made may be an authority: it is made anew.
    openssl x509 -in "$CERTIFICATE" -noout -ext basicConstraints 2>/dev/null | grep -q CA:FALSE && [ -s "$STATE/key.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout "$STATE/key.pem" -out "$CERTIFICATE" 2>/dev/null
}

# own gives a directory to the user that the server runs as: a database refuses to be root.
own() { [ "$(id -u)" != 0 ] || chown -R "$RUNS_AS:" "$1"; }

as_server() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid "$RUNS_AS" --regid "$(id -g "$RUNS_AS")" --clear-groups -- "$@"; else "$@"; fi
}

# Whom the servers are for: tests, or a bench.
FOR=${CRUCIBLE_ENGINES_FOR:-tests}

# What stands before a server that would take all it can get: tests go first. Not in a bench, where client and server are equals.
if [ "$FOR" = bench ]; then YIELDING=; else YIELDING="nice -n 10"; fi

# launch starts a command in a session of its own, or for a bench in a group of its own within the caller's session, so that all it starts can be
# killed with it, and with nothing open that whoever called this has open: a lock, for one, would be held for as long as the server lives.
launch() {
    [ "$(id -u)" != 0 ] || set -- setpriv --reuid "$RUNS_AS" --regid "$(id -g "$RUNS_AS")" --clear-groups -- "$@"
    apart=os.setsid
    [ "$FOR" != bench ] || apart="lambda: os.setpgid(0, 0)"
    python3 -c "import os, sys; os.closerange(3, 4096); ($apart)(); os.execvp(sys.argv[1], sys.argv[1:])" "$@" >"$DATA/log" 2>&1 </dev/null &
    echo $! >"$DATA/pid"
}

# java puts the Java that it is given where the server's user may read it, and answers its path.
java() {
    if as_server test -x "$1" 2>/dev/null; then
        echo "$1"
        return
    fi
    [ -d "$DATA/java" ] || cp -rl "$(dirname "$(dirname "$1")")" "$DATA/java" 2>/dev/null || cp -r "$(dirname "$(dirname "$1")")" "$DATA/java"
    echo "$DATA/java/bin/java"
}

# await repeats a command until it succeeds, for so many seconds.
await() {
    seconds=$1
    shift
    for _ in $(seq $((seconds * 2))); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        kill -0 "$(cat "$DATA/pid")" 2>/dev/null || break
        sleep 0.5
    done
    echo "$NAME did not start; the end of $DATA/log:" >&2
    tail -n 20 "$DATA/log" >&2
    return 1
}

kill_server() {
    [ -s "$DATA/pid" ] || return 0
    pid=$(cat "$DATA/pid")
    kill -KILL "-$pid" 2>/dev/null || true
    # Until its processes are gone; one whose parent does not care may stay as a shadow.
    for _ in $(seq 50); do
        ps -eo pgid=,stat= | awk -v group="$pid" '$1 == group && $2 !~ /^Z/ { found = 1 } END { exit !found }' || break
        sleep 0.1
    done
    rm -f "$DATA/pid"
}

# fetch_artifact gets one file of Maven's central repository; its SHA-1 is checked against the one beside it.
fetch_artifact() {
    to=$CACHE/maven/$(basename "$1")
    [ ! -s "$to" ] || return 0
    mkdir -p "$CACHE/maven"
    curl --silent --show-error --fail --location --retry 3 --output "$to.part" "$MAVEN/$1"
    expected=$(curl --silent --show-error --fail --location --retry 3 "$MAVEN/$1.sha1" | cut -c1-40)
    [ "$(sha1sum "$to.part" | cut -c1-40)" = "$expected" ] || { echo "$1 is not what its checksum says" >&2; return 1; }
    mv "$to.part" "$to"
}

alive() { [ -s "$DATA/pid" ] && kill -0 "$(cat "$DATA/pid")" 2>/dev/null; }

# alone refuses to start a server over one that is up: the second could not have the port, and the first would lose its number,
# by which alone it is ended.
alone() {
    alive || return 0
    echo "$NAME is up already, as process $(cat "$DATA/pid"): end it with $0 stop" >&2
    return 1
}

verb() {
    case ${1:-} in
    fetch) fetch ;;
    start) alone; start ;;
    kill) kill_server ;;
    stop) kill_server; rm -rf "$DATA" ;;
    status) alive ;;
    env) environment ;;
    *) echo "usage: $0 fetch|start|kill|stop|status|env" >&2; exit 2 ;;
    esac
}

# variables prints the three variables of one server.
variables() {
    printf "export %s='%s'\nexport %s_STOP='%s kill'\nexport %s_START='%s start'\nexport SSL_CERT_FILE='%s'\n" \
        "$1" "$2" "$1" "$HERE/$NAME.sh" "$1" "$HERE/$NAME.sh" "$CERTIFICATE"
}
