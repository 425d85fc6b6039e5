"""Plans and workloads as existing clients write them."""

import copy
from typing import Any

import yaml

from .settings import SUT_DATABASE, SUT_HOST, SUT_PASSWORD, SUT_USERNAME

Plan = dict[str, Any]

# Two queries whose names become metrics.
WORKLOAD = """\
-- @type: mysql

-- @name: PointLookup
SELECT name, city, joined FROM customers WHERE id = 4711;

-- @name: OrdersOfACity
SELECT COUNT(*) FROM orders WHERE city = 'Lima' AND week = 7;
"""

# An older file: nobody asked for a type then.
WORKLOAD_WITHOUT_TYPE = """\
-- @name: PointLookup
SELECT name FROM customers WHERE id = 12;
"""

# It can be prepared, and fails whenever it is executed: the subquery has two rows.
WORKLOAD_THAT_FAILS = """\
-- @type: mysql
-- @name: TwoRows
SELECT name FROM customers WHERE id = (SELECT id FROM orders WHERE id < 3);
"""


def plan(workload: str | list[str], **changes: Any) -> Plan:
    """A short load by two virtual users on one worker. `changes` are written as `execution__hold_for="10s"`."""
    workloads = [workload] if isinstance(workload, str) else workload
    made: Plan = {
        "test_environment": {
            "env_type": "long-lived",
            "target_db": SUT_DATABASE,
            "component_spec": {
                "type": "mysql",
                "cluster_info": {"host": SUT_HOST, "username": SUT_USERNAME, "password": SUT_PASSWORD},
            },
        },
        "execution": {
            "executor": "k6",
            "scaling_mode": "intra_node",
            "concurrency": 2,
            "ramp_up": "1s",
            "hold_for": "3s",
            "workload": [{"workload_id": name} for name in workloads],
        },
    }
    return changed(made, **changes)


def changed(made: Plan, **changes: Any) -> Plan:
    """A copy of a plan with other values; `None` takes a key away."""
    made = copy.deepcopy(made)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = made
        for name in parents:
            place = place.setdefault(name, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return made


def as_yaml(made: Plan) -> str:
    """The plan as a person would store it."""
    return yaml.safe_dump(made, sort_keys=False)


def password_of(made: Plan) -> Any:
    """What stands at the place of the password."""
    return made["test_environment"]["component_spec"]["cluster_info"]["password"]
