"""Requests that never come to an end are brought to one."""

from concurrent.futures import Future

import httpx
import pytest

from crucible_contract import slow
from crucible_contract.wire import Answer


@pytest.mark.parametrize("name", slow.REQUESTS)
def test_a_request_that_takes_for_ever_is_ended_within_half_a_minute(name: str, slow_requests: dict[str, Future[Answer]], api: httpx.Client) -> None:
    answer = slow_requests[name].result(timeout=slow.PATIENCE + 10)
    if name == "a head that never ends":
        # There is no request yet that could be answered.
        assert answer.status in (None, 408)
    else:
        assert answer.status in (400, 408), answer
    assert api.get("/health").status_code == 200
