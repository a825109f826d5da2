"""The whole story by the official Python client: list, submit, be refused, ask,
be approved by a person, run with progress, be notified, cancel, schedule, read
the log.

    story.py MODE BINARY URL

`approve ID` on standard output asks for a person; a line on standard input says
that it was done. Ends with `done`.
"""

import asyncio
import json
import subprocess
import sys

from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult

MODE, BINARY, URL = sys.argv[1:4]
CODE = """// /// wardroom
// net = ["{params.url}"]
// [params.url]
// type = "string"
// ///
console.log("asking");
return (await fetch(params.url)).status;
"""
ENDLESS = "for (;;) { console.log('tick'); await new Promise((done) => setTimeout(done, 20)); }"
HOURLY = {"type": "cron", "expression": "0 * * * *"}


async def story(client):
    listed = (await client.list_tools()).tools
    names = {tool.name for tool in listed}
    assert {"schedule_task", "run_script", "request_grant"} <= names, names
    assert all(tool.annotations and tool.output_schema for tool in listed)

    async def call(name, arguments, **more):
        return await client.call_tool(name, arguments, **more)

    tried = await call("run_script", {"code": "return params.n + 1;", "params": {"n": 41}})
    assert tried.structured_content["result"] == 42, tried

    saved = await call("schedule_task", {"name": "ask", "code": CODE, "params": {"url": URL}, "schedule": HOURLY})
    approval = saved.structured_content["approval"]["id"]
    refused = await call("execute_task", {"name": "ask"})
    assert refused.is_error and refused.structured_content["error"]["kind"] == "denied", refused

    print(f"approve {approval}", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    told = []

    async def progress(progress, total, message):
        told.append(message)

    ran = await call("execute_task", {"name": "ask"}, progress_callback=progress)
    assert not ran.is_error and ran.structured_content["result"] == 200, ran
    assert any("asking" in (message or "") for message in told), told

    running = asyncio.create_task(call("run_script", {"code": ENDLESS, "timeout_ms": 60000}))
    await asyncio.sleep(0.5)
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        pass
    for _ in range(200):
        listed = await call("get_executions", {"status": "cancelled"})
        if listed.structured_content["executions"]:
            break
        await asyncio.sleep(0.05)
    assert listed.structured_content["executions"], "the execution is cancelled with its request"

    started = await call("execute_task", {"name": "ask", "wait": False})
    assert started.structured_content["execution_id"]
    identity = ran.structured_content["execution_id"]
    log = await client.read_resource(f"wardroom://execution/{identity}/log")
    assert "asking" in log.contents[0].text, log
    checked = await call("check_task", {"name": "ask"})
    assert len(checked.structured_content["check"]["next"]) == 5, checked
    wrong = await call("get_task", {"name": "nothing"})
    assert wrong.is_error and wrong.structured_content["error"] == "task_not_found", wrong
    prompt = await client.get_prompt("debug-execution", {"execution": identity})
    assert identity in prompt.messages[0].content.text


async def notified(client, heard):
    """What the command line changes is told: in the eras with `initialize`
    without asking, then to who listens."""
    uri = "wardroom://task/ask"
    wanted = {"notifications/tools/list_changed", "notifications/resources/updated"}

    async def expose(word):
        done = await asyncio.to_thread(subprocess.run, [BINARY, word, "ask"], env=json.loads(sys.argv[4]), capture_output=True)
        assert done.returncode == 0, done

    if client.protocol_version >= "2026-07-28":
        async with client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as stream:
            await expose("expose")
            kinds = set()
            async for event in stream:
                kinds.add(type(event).__name__)
                if len(kinds) == len(wanted):
                    break
    else:
        await client.subscribe_resource(uri)
        await expose("expose")
        while not wanted <= heard:
            await asyncio.sleep(0.02)
    names = {tool.name for tool in (await client.list_tools()).tools}
    assert "task__ask" in names, names
    await expose("unexpose")


async def trusted(client, asked):
    """The person in front of a client that is trusted says yes, then no."""
    saved = await client.call_tool("schedule_task", {"name": "ask", "code": CODE, "params": {"url": URL}, "schedule": HOURLY})
    assert saved.structured_content["approved"] is True, saved
    assert len(asked) == 1 and "--allow-net=" in asked[0], asked
    ran = await client.call_tool("execute_task", {"name": "ask"})
    assert not ran.is_error and ran.structured_content["result"] == 200, ran
    wish = {"task": "free", "grants": {"env": ["HOME"]}, "reason": "to see"}
    await client.call_tool("schedule_task", {"name": "free", "code": "return 1;", "schedule": HOURLY})
    refused = await client.call_tool("request_grant", wish)
    assert refused.structured_content["approved"] is False and len(asked) == 2, refused


async def main():
    asked, heard = [], set()

    async def hear(message):
        heard.add(getattr(message, "method", None))

    async def answer(context, params):
        asked.append(params.message)
        if len(asked) == 1:
            return ElicitResult(action="accept", content={"approve": True})
        return ElicitResult(action="decline")

    arguments = json.loads(sys.argv[5]) if len(sys.argv) > 5 else ["mcp"]
    server = StdioServerParameters(command=BINARY, args=arguments, env=json.loads(sys.argv[4]))
    async with Client(server, mode=MODE, elicitation_callback=answer, message_handler=hear) as client:
        print(f"speaks {client.protocol_version}", flush=True)
        if "--elicitation=trusted" in arguments:
            await trusted(client, asked)
        else:
            await story(client)
            await asyncio.wait_for(notified(client, heard), 60)
            assert not asked, "who is not trusted is not asked"
    print("done", flush=True)


asyncio.run(main())
