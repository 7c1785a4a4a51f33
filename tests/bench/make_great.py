#!/usr/bin/env python3
"""Make a home of two sessions of 1 GB for the benchmark of show.

usage: make_great.py DATA

DATA/great becomes a Codex home: a session in the form of Codex 0.137, whose rollbacks may be anywhere in its file, and a
paginated one in the form of 0.171. Each begins with a message that fills a screen. What is already there is kept.
"""
import json
import os
import shutil
import sys

LEGACY = "01a20000-0000-7000-8000-000000000137"
PAGINATED = "01a20000-0000-7000-8000-000000000171"
SIZE = 1 << 30
FIRST = "\n".join(f"line {number}" for number in range(1, 61))
OUTPUT = "\n".join(f"{number} of the lines that a command prints in a great session" for number in range(600))


def turn(number, is_paginated):
    """The lines of a turn with a message, a command and an answer."""
    turn_id = f"01a20000-{number >> 16:04x}-7000-8000-{number & 0xffff:012x}"
    text = FIRST if number == 0 else f"the question {number}"

    def completed(item):
        return {"type": "item_completed", "thread_id": PAGINATED, "turn_id": turn_id, "item": item}

    call = f"call_{number}"
    words = ["/bin/bash", "-lc", "cat lines"]
    if is_paginated:
        deeds = [
            completed({"type": "UserMessage", "id": f"u{number}", "content": [{"type": "text", "text": text}]}),
            completed({"type": "CommandExecution", "id": call, "command": words, "cwd": "file:///p", "status": "completed",
                       "aggregated_output": OUTPUT, "exit_code": 0}),
            completed({"type": "AgentMessage", "id": f"a{number}", "content": [{"type": "Text", "text": "the answer"}],
                       "phase": "final_answer"}),
        ]
    else:
        deeds = [
            {"type": "user_message", "message": text},
            {"type": "exec_command_end", "call_id": call, "turn_id": turn_id, "command": words, "cwd": "/p",
             "aggregated_output": OUTPUT, "exit_code": 0, "status": "completed"},
            {"type": "agent_message", "message": "the answer", "phase": "final_answer"},
        ]
    start, end = {"type": "task_started", "turn_id": turn_id}, {"type": "task_complete", "turn_id": turn_id, "last_agent_message": "the answer"}
    return [("event_msg", payload) for payload in (start, *deeds, end)]


def write(home, session, version, is_paginated):
    folder = os.path.join(home, "sessions/2026/11/22")
    os.makedirs(folder, exist_ok=True)
    meta = {"id": session, "timestamp": "2026-11-22T00:00:00.000Z", "cwd": "/p", "originator": "codex_exec", "cli_version": version,
            "source": "exec", "model_provider": "openai"}
    if is_paginated:
        meta["history_mode"] = "paginated"
    ordinal, number, lines = 0, 0, [("session_meta", meta)]
    with open(os.path.join(folder, f"rollout-2026-11-22T00-00-00-{session}.jsonl"), "w", encoding="utf-8") as file:
        while file.tell() < SIZE:
            lines.extend(turn(number, is_paginated))
            number += 1
            for kind, payload in lines:
                line = {"timestamp": "2026-11-22T00:00:01.000Z", "type": kind, "payload": payload}
                if is_paginated:
                    line["ordinal"] = ordinal
                ordinal += 1
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
            lines = []


def main():
    home = os.path.join(sys.argv[1], "great")
    mark = os.path.join(home, "made")
    if os.path.exists(mark):
        return 0
    shutil.rmtree(home, ignore_errors=True)
    write(home, LEGACY, "0.137.0", False)
    write(home, PAGINATED, "0.171.0", True)
    open(mark, "w", encoding="utf-8").close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
