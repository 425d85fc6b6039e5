"""Loads a CSV of TPC-H's orders into Cassandra as most scripts do: one prepared statement, 150 executions in flight.

loop.py PORT USER KEYSPACE prepare          makes the keyspace, prints the server's version
loop.py PORT USER KEYSPACE run STATEMENT    runs one statement
loop.py PORT USER KEYSPACE count TABLE      prints how many rows there are
loop.py PORT USER KEYSPACE load TABLE FILE  loads
"""

import csv
import datetime
import decimal
import os
import sys

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import WhiteListRoundRobinPolicy

IN_FLIGHT = 150


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        for key, customer, status, price, date, priority, clerk, ship, comment in reader:
            day = datetime.date.fromisoformat(date)
            yield int(key), int(customer), status, decimal.Decimal(price), day, priority, clerk, int(ship), comment


def load(session, table, path):
    with open(path, newline="", encoding="utf-8") as file:
        names = next(csv.reader(file))
    insert = session.prepare(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})")
    done = execute_concurrent_with_args(session, insert, rows(path), concurrency=IN_FLIGHT, results_generator=True, raise_on_first_error=True)
    for _ in done:
        pass


def count(session, table):
    # Counted here: a server that counts reads the whole table within the time that it gives one question.
    session.default_fetch_size = 5000
    return sum(1 for _ in session.execute(f"SELECT o_orderkey FROM {table}", timeout=60))


def main():
    port, user, keyspace, verb, *words = sys.argv[1:]
    profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(["127.0.0.1"]), request_timeout=60)
    login = PlainTextAuthProvider(user, os.environ["CASSANDRA_PASSWORD"])
    cluster = Cluster(["127.0.0.1"], port=int(port), auth_provider=login, execution_profiles={EXEC_PROFILE_DEFAULT: profile}, protocol_version=5)
    with cluster, cluster.connect() as session:
        if verb == "prepare":
            replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            session.execute(f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")
            print(session.execute("SELECT release_version FROM system.local").one().release_version)
            return
        session.set_keyspace(keyspace)
        if verb == "run":
            session.execute(*words)
        elif verb == "count":
            print(count(session, *words))
        else:
            load(session, *words)


main()
