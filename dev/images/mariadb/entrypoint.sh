#!/bin/bash
# Starts MariaDB as whoever runs this, in a data directory that may be empty. Arguments go to mariadbd.
#
#   MARIADB_DATABASE            database to create
#   MARIADB_USER                account with all rights on it
#   MARIADB_PASSWORD[_FILE]     its password, or the file that holds it
#   MARIADB_ROOT_PASSWORD[_FILE]  password of root from anywhere; without it root only enters by the socket
#   /docker-entrypoint-initdb.d/*.sql  run once, in order, in that database
#
# The network is opened when all of that is done: a server that answers on its port is ready.
set -euo pipefail

data=/var/lib/mysql/data
socket=/tmp/mariadb.sock

secret() {
    local file="$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-}"; fi
}

quoted() {
    printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"
}

named() {
    printf '`%s`' "${1//\`/\`\`}"
}

accounts() {
    local database=${MARIADB_DATABASE:-} user=${MARIADB_USER:-} root
    root=$(secret MARIADB_ROOT_PASSWORD)
    if [ -n "$database" ]; then echo "CREATE DATABASE IF NOT EXISTS $(named "$database");"; fi
    if [ -n "$user" ]; then
        echo "CREATE USER IF NOT EXISTS $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$(secret MARIADB_PASSWORD)");"
        if [ -n "$database" ]; then
            echo "GRANT ALL ON $(named "${database//_/\\_}").* TO $(quoted "$user")@'%';"
        fi
    fi
    if [ -n "$root" ]; then
        echo "CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY $(quoted "$root");"
        echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
    fi
}

initialise() {
    local unfinished=$data.unfinished
    rm -rf "$unfinished"
    mariadb-install-db --datadir="$unfinished" --auth-root-authentication-method=normal --skip-test-db --skip-log-bin >/dev/null
    mariadbd --datadir="$unfinished" --socket="$socket" --skip-networking --skip-log-bin --innodb-flush-log-at-trx-commit=0 "$@" &
    local server=$!
    until mariadb --socket="$socket" --user=root --execute="DO 0" 2>/dev/null; do
        kill -0 "$server" || { echo "entrypoint: the server ended while it was prepared" >&2; exit 1; }
        sleep 0.1
    done
    accounts | mariadb --socket="$socket" --user=root
    local script
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$script" ] || continue
        echo "entrypoint: running $script"
        mariadb --socket="$socket" --user=root "${MARIADB_DATABASE:-mysql}" <"$script"
    done
    mariadb --socket="$socket" --user=root --execute=SHUTDOWN
    wait "$server"
    # Only a directory that was prepared to the end gets the name that is served.
    mv "$unfinished" "$data"
}

[ -d "$data" ] || initialise "$@"
exec mariadbd --datadir="$data" --socket="$socket" --pid-file=/tmp/mariadb.pid --bind-address=0.0.0.0 --skip-name-resolve "$@"
