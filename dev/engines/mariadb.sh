#!/bin/sh
# MariaDB as the system's package has it (10.11 in Debian 12).
NAME=mariadb
. "$(dirname "$0")/common.sh"
RUNS_AS=$(id -un mysql 2>/dev/null || echo nobody)
PORT=23306

fetch() { [ -x /usr/sbin/mariadbd ] || { echo "MariaDB is missing: apt-get install mariadb-server-core mariadb-client-core" >&2; return 1; }; }

start() {
    fetch
    certificate
    if [ ! -d "$DATA/db" ]; then
        mkdir -p "$DATA/db"
        cp "$CERTIFICATE" "$STATE/key.pem" "$DATA"
        own "$DATA"
        as_server mariadb-install-db --no-defaults --datadir="$DATA/db" --auth-root-authentication-method=normal --skip-test-db >"$DATA/install.log"
        cat >"$DATA/init.sql" <<SQL
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
CREATE DATABASE shop;
CREATE USER crucible@'%' IDENTIFIED BY '$PASSWORD';
GRANT ALL ON *.* TO crucible@'%' WITH GRANT OPTION;
SQL
        own "$DATA"
    fi
    init=
    [ -e "$DATA/made" ] || init=--init-file=$DATA/init.sql
    launch mariadbd --no-defaults --datadir="$DATA/db" \
        --socket="$DATA/socket" --bind-address=127.0.0.1 --port=$PORT --ssl-cert="$DATA/certificate.pem" --ssl-key="$DATA/key.pem" \
        --innodb-buffer-pool-size=128M --skip-name-resolve $init
    await 60 mariadb --no-defaults --socket="$DATA/socket" --user=crucible --password="$PASSWORD" --execute="SELECT 1" shop
    touch "$DATA/made"
}

environment() { variables CRUCIBLE_TEST_MYSQL "crucible:$PASSWORD@tcp(127.0.0.1:$PORT)/shop"; }

verb "$@"
