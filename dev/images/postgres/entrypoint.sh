#!/bin/bash
# Starts PostgreSQL as whoever runs this, in a data directory that may be empty. Arguments go to postgres.
#
#   POSTGRES_USER               superuser to create, "postgres" where none is named
#   POSTGRES_PASSWORD[_FILE]    its password, or the file that holds it
#   POSTGRES_DB                 database to create, the user's name where none is named
#   /docker-entrypoint-initdb.d/*.sql  run once, in order, in that database
#
# The network is opened when all of that is done: a server that answers on its port is ready.
set -euo pipefail

export PATH=/usr/lib/postgresql/15/bin:$PATH
data=/var/lib/postgresql/data/pgdata
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

secret() {
    local file="$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-}"; fi
}

initialise() {
    local unfinished=$data.unfinished password
    rm -rf "$unfinished"
    password=$(secret POSTGRES_PASSWORD)
    [ -n "$password" ] || { echo "entrypoint: POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is needed" >&2; exit 1; }
    initdb --pgdata="$unfinished" --username="$user" --pwfile=<(printf '%s\n' "$password") --auth-local=trust \
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    echo "host all all all scram-sha-256" >>"$unfinished/pg_hba.conf"
    pg_ctl --pgdata="$unfinished" --wait --silent --log=/tmp/initialise.log \
        --options="-c listen_addresses='' -c unix_socket_directories=/tmp -c fsync=off" start
    if [ "$database" != postgres ]; then
        createdb --host=/tmp --username="$user" -- "$database"
    fi
    local script
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$script" ] || continue
        echo "entrypoint: running $script"
        psql --host=/tmp --username="$user" --dbname="$database" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$script"
    done
    pg_ctl --pgdata="$unfinished" --wait --silent --mode=fast stop
    # Only a directory that was prepared to the end gets the name that is served.
    mv "$unfinished" "$data"
}

[ -d "$data" ] || initialise
chmod 0700 "$data"
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
