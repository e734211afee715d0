"""Runs a cell in Deno's kernel, and prints what it displays, as JSON: a list of messages."""

import json
import queue
import sys

import ports  # noqa: F401, which decides which ports the kernel has
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="deno", cwd=sys.argv[1])
try:
    request = client.execute(sys.stdin.read())
    found = []
    done = False
    while True:
        try:
            # Messages may come after the one that says that the cell is done.
            message = client.get_iopub_msg(timeout=1 if done else 60)
        except queue.Empty:
            if done:
                break
            raise
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            sys.exit("\n".join(content["traceback"]) or content["evalue"])
        if kind == "status" and content["execution_state"] == "idle":
            done = True
        if kind in ("display_data", "update_display_data"):
            found.append(
                {
                    "type": kind,
                    "display": content["transient"]["display_id"],
                    "text": content["data"]["text/plain"],
                }
            )
    print(json.dumps(found))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
