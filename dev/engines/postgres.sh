#!/bin/sh
# PostgreSQL as the system's package has it (15 in Debian 12).
NAME=postgres
. "$(dirname "$0")/common.sh"
RUNS_AS=postgres
PORT=25432
PROGRAMS=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

fetch() { [ -x "$PROGRAMS/postgres" ] || { echo "PostgreSQL is missing: apt-get install postgresql" >&2; return 1; }; }

start() {
    fetch
    certificate
    if [ ! -d "$DATA/db" ]; then
        mkdir -p "$DATA"
        cp "$CERTIFICATE" "$STATE/key.pem" "$DATA"
        chmod 600 "$DATA/key.pem"
        echo "$PASSWORD" >"$DATA/password"
        own "$DATA"
        as_server "$PROGRAMS/initdb" --pgdata="$DATA/db" --username=crucible --pwfile="$DATA/password" --auth=scram-sha-256 --encoding=UTF8 >"$DATA/install.log"
        as_server sed -i 's/^\(local.*\)scram-sha-256/\1trust/' "$DATA/db/pg_hba.conf"
    fi
    rm -f "$DATA/db/postmaster.pid" "$DATA"/.s.PGSQL.* # of one that was killed
    launch "$PROGRAMS/postgres" -D "$DATA/db" -p $PORT \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories="$DATA" -c ssl=on -c ssl_cert_file="$DATA/certificate.pem" -c ssl_key_file="$DATA/key.pem"
    await 60 "$PROGRAMS/psql" --host="$DATA" --port=$PORT --username=crucible --dbname=postgres --command="SELECT 1"
    "$PROGRAMS/createdb" --host="$DATA" --port=$PORT --username=crucible shop 2>/dev/null || true
}

environment() { variables CRUCIBLE_TEST_POSTGRES "postgres://crucible:$PASSWORD@127.0.0.1:$PORT/shop"; }

verb "$@"
