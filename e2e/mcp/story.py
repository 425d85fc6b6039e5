"""An agent's story against a real cluster, with the published client, over stdio and over HTTP."""

import asyncio
import json
import os
import secrets
import sys
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

# The program, and the gateway that it is to ask.
PROGRAM = os.environ["CRUCIBLE_MCP_PROGRAM"]
API = os.environ["CRUCIBLE_REST_URL"]
TOKEN = os.environ.get("CRUCIBLE_API_TOKEN", "")
# A server over HTTP in front of the same gateway.
MCP = os.environ["CRUCIBLE_MCP_URL"]
# The system under test as worker pods reach it.
SUT_HOST = os.environ["CRUCIBLE_SUT_HOST"]
SUT_DATABASE = os.environ["CRUCIBLE_SUT_DATABASE"]
SUT_USERNAME = os.environ["CRUCIBLE_SUT_USERNAME"]
SUT_PASSWORD = os.environ["CRUCIBLE_SUT_PASSWORD"]

TAG = secrets.token_hex(3)
WORKLOAD = "-- @type: mysql\n-- @name: PointLookup\n-- @param: id int 1 1000\nSELECT name FROM customers WHERE id = :id;\n"


class Agent:
    """One client, whose steps are told."""

    def __init__(self, client: Client, over: str) -> None:
        self.client, self.over = client, over

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers. The text and the structure have to say the same."""
        told: list[str] = []

        async def listen(_progress: float, _total: float | None, message: str | None) -> None:
            told.append(message or "")

        result = await self.client.call_tool(tool, arguments, progress_callback=listen)
        text = result.content[0].text
        if result.is_error:
            raise AssertionError(f"{tool}: {text}")
        assert json.loads(text) == result.structured_content, f"{tool}: text and structure differ"
        print(f"{self.over}: {tool} ok{f', told {len(told)} times on the way' if told else ''}", flush=True)
        return result.structured_content

    async def story(self) -> None:
        """From the question to the answer."""
        name = f"mcp-{self.over}-{TAG}"
        tools = {tool.name for tool in (await self.client.list_tools()).tools}
        assert {"validate_test_plan", "submit_test_run", "wait_for_run", "explain_run", "emergency_stop"} <= tools
        assert "mysql" in (await self.call("list_supported_suts"))["sut_types"]
        assert (await self.call("upload_workload_sql", workload_id=name, content=WORKLOAD))["success"]
        wrong = await self.call("upload_workload_sql", workload_id=name, content="SELECT 1")
        assert wrong["success"] is False and wrong["errors"]
        draft = await self.call(
            "draft_test_plan", goal="Does it work at all?", profile="smoke", sut_type="mysql", host=SUT_HOST, target_db=SUT_DATABASE,
            username=SUT_USERNAME, password=SUT_PASSWORD, workload_ids=[name], ramp_up="1s", hold_for="5s",
        )
        assert draft["valid"] is True, draft
        plan = draft["plan_yaml"]
        assert (await self.call("validate_test_plan", plan_yaml=plan)) == {"valid": True}
        broken = await self.call("validate_test_plan", plan_yaml=plan.replace('"5s"', '"5 s"'))
        assert broken["valid"] is False and any("hold_for" in error["path"] for error in broken["errors"]), broken
        assert (await self.call("upload_test_plan", plan_yaml=plan, name=name))["success"]
        shown = await self.call("get_test_plan", name=name)
        assert SUT_PASSWORD not in json.dumps(shown)

        begun = await self.call("submit_test_run", plan_yaml=plan, plan_name=name, cluster_spec=draft["cluster_spec"], label=name)
        run = begun["run_id"]
        listed = await self.call("list_test_runs", run_label=name)
        assert [row["run_id"] for row in listed["runs"]] == [run]
        waited = await self.call("wait_for_run", run_id=run, timeout_seconds=240)
        assert waited["status"] == "COMPLETED", waited
        explained = await self.call("explain_run", run_id=run)
        assert explained["verdict"] is not None and explained["figures"]["queries"][0]["query"] == "PointLookup", explained
        results = await self.call("get_test_results", run_id=run)
        assert any(metric["name"] == "sql_duration_PointLookup" for metric in results["k6"]["metrics"])

        again = await self.call("trigger_run_by_plan", plan_name=name, label=name)
        assert (await self.call("emergency_stop", run_id=again["run_id"]))["action"] == "sigterm_sent"
        assert (await self.call("wait_for_run", run_id=again["run_id"], timeout_seconds=120))["finished"]
        for uri in ("crucible://fixtures/registry", "crucible://telemetry/recent-stats", f"crucible://logs/{run}", f"crucible://reports/{run}"):
            assert (await self.client.read_resource(uri)).contents[0].text, uri
        assert (await self.call("delete_test_plan", name=name))["success"]


async def main() -> None:
    """Tells the story twice."""
    environment = {"CRUCIBLE_API_URL": API, "CRUCIBLE_API_TOKEN": TOKEN, "TRANSPORT": "stdio"}
    async with Client(StdioServerParameters(command=PROGRAM, env=environment)) as client:
        await Agent(client, "stdio").story()
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    async with httpx2.AsyncClient(headers=headers, timeout=300) as http, Client(streamable_http_client(MCP, http_client=http)) as client:
        await Agent(client, "http").story()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except AssertionError as error:
        sys.exit(f"the story does not hold: {error}")
