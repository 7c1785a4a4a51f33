#!/usr/bin/env python3
"""Make a home of long transcripts for the benchmark of grep, and the messages that it must find.

usage: make_transcripts.py --schema STATE_5_SQLITE DATA [--sessions N] [--lines N]

DATA/transcripts becomes a Codex home: by default 1,800 rollouts of about 340 lines, 1.7 GB, in the form of Codex 0.171. DATA/transcripts/needles.json has texts that are hard to find in JSON, each with the ids of the 40
sessions that have it in one message, and a word that most lines have. The same numbers give the same bytes.
What is already there and current is kept.
"""
import argparse
import json
import os
import shutil
import sys
from random import Random
from types import SimpleNamespace

from make_home import CODEX, Dice, iso, read_schema, write_database

FORMAT = 4
SEED = 20261129
STARTED_MS = 1795305600000  # 2026-11-22T00:00:00Z
EACH = 40

NEEDLES = [
    'said "frobnicate" twice', "first line\nsecond zilch line", "caf\u00e9 au lait xq", "src/deep/quux.rs:17",
    "back\\slash\\zorp", "\u65e5\u672c\u8a9e\u306e\u9805\u76ee", "smile \U0001f980 crab", '{"nested":"plugh \\"deep\\""}',
    "tab\there\tvexil", "<b>bold</b> & wumpus", "it's `grue` = a+b", '"f-x; "'
]
WORDS = """the a to of and in is it that for on with as this be are not from by or an if can will use file test code
line path name value error return function string list number type module build run check add change make read write
open close start end first last next new old fix bug user message session queue group index parser cache config table
column row text byte block buffer thread lock state record field branch commit patch output input command shell sandbox
directory project version release""".split()


def encoders():
    """How writers of JSON write a text."""
    compact = dict(separators=(",", ":"))
    return [
        lambda value: json.dumps(value, ensure_ascii=False, **compact),
        lambda value: json.dumps(value, ensure_ascii=False, **compact),
        lambda value: json.dumps(value, **compact),
        lambda value: json.dumps(value, **compact).replace("/", "\\/"),
    ]


class Writer:
    def __init__(self, random, dice, path, ms, encode):
        self.random, self.dice, self.ms, self.ordinal, self.encode = random, dice, ms, 0, encode
        self.file = open(path, "w", encoding="utf-8")

    def line(self, kind, payload):
        self.ms += self.random.randrange(1, 900)
        line = {"timestamp": iso(self.ms), "ordinal": self.ordinal, "type": kind, "payload": payload}
        self.file.write(self.encode(line) + "\n")
        self.ordinal += 1

    def prose(self, count):
        return " ".join(self.random.choices(WORDS, k=count))

    def user(self, session, turn, text):
        part = [{"type": "input_text", "text": text}]
        self.line("response_item", {"type": "message", "id": "msg_" + self.dice.uuid7(self.ms), "role": "user", "content": part})
        item = {"type": "UserMessage", "id": self.dice.uuid7(self.ms), "content": [{"type": "text", "text": text, "text_elements": []}]}
        self.completed(session, turn, item)

    def answer(self, session, turn, text, phase):
        name = "msg_" + self.dice.uuid7(self.ms)
        part = [{"type": "output_text", "text": text}]
        self.line("response_item", {"type": "message", "id": name, "role": "assistant", "content": part, "phase": phase})
        self.completed(session, turn, {"type": "AgentMessage", "id": name, "content": [{"type": "Text", "text": text}], "phase": phase})

    def completed(self, session, turn, item):
        payload = {"type": "item_completed", "thread_id": session, "turn_id": turn, "item": item, "completed_at_ms": self.ms}
        self.line("event_msg", payload)


def write_session(home, number, lines, needles):
    random, dice = Random(SEED * 100003 + number), Dice(f"transcript {number}")
    ms = STARTED_MS + number * 400_000
    session = dice.uuid7(ms)
    text = iso(ms)
    folder = "sessions/" + text[:10].replace("-", "/")
    os.makedirs(os.path.join(home, folder), exist_ok=True)
    name = f"rollout-{text[:19].replace(':', '-')}-{session}.jsonl"
    encode = encoders()[number % 4]
    writer = Writer(random, dice, os.path.join(home, folder, name), ms, encode)
    cwd = f"/home/user/projects/p{number % 100}"
    writer.line("session_meta", {"session_id": session, "id": session, "timestamp": text, "cwd": cwd, "originator": "codex_exec",
                                 "cli_version": CODEX, "source": "exec", "model_provider": "openai", "history_mode": "paginated",
                                 "base_instructions": {"text": writer.prose(1500)}})
    wanted, first = list(needles), None
    while writer.ordinal < lines:
        turn = dice.uuid7(writer.ms)
        writer.line("event_msg", {"type": "task_started", "turn_id": turn, "started_at": writer.ms // 1000, "model_context_window": 258400})
        if writer.ordinal < 4:
            writer.line("response_item", {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": writer.prose(1200)}]})
        writer.line("turn_context", {"turn_id": turn, "cwd": cwd, "model": "gpt-5.5", "summary": writer.prose(60)})
        text = writer.prose(random.randrange(5, 60))
        if wanted and random.random() < 0.5:
            text += " " + wanted.pop() + " " + writer.prose(4)
        first = first or text
        writer.user(session, turn, text)
        for _ in range(random.randrange(2, 9)):
            writer.line("response_item", {"type": "reasoning", "id": "rs_" + dice.uuid7(writer.ms), "summary": [],
                                          "encrypted_content": "".join(random.choices("abcdefghijABCDEFGHIJ0123456789+/", k=900))})
            call = "call_" + dice.uuid7(writer.ms)
            command = "cargo " + writer.prose(4)
            writer.line("response_item", {"type": "function_call", "name": "exec_command", "arguments": json.dumps({"cmd": command}), "call_id": call})
            output = "\n".join(writer.prose(random.randrange(4, 16)) for _ in range(random.randrange(20, 240)))
            writer.completed(session, turn, {"type": "CommandExecution", "id": call, "command": ["/bin/bash", "-lc", command], "cwd": "file://" + cwd,
                                             "status": "completed", "aggregated_output": output, "exit_code": 0, "duration": {"secs": 0, "nanos": 1}})
            writer.line("response_item", {"type": "function_call_output", "call_id": call,
                                          "output": f"Chunk ID: ab12\nWall time: 0.1 seconds\nProcess exited with code 0\nOriginal token count: 9\nOutput:\n{output}"})
            usage = {"input_tokens": 9000, "cached_input_tokens": 8000, "output_tokens": 90, "reasoning_output_tokens": 10, "total_tokens": 9090}
            writer.line("token_usage_record", {"thread_id": session, "turn_id": turn, "usage": usage, "response_id": "resp_" + dice.uuid7(writer.ms)})
        text = writer.prose(random.randrange(20, 300))
        if wanted:
            text += "\n" + wanted.pop() + "\n" + writer.prose(9)
        writer.answer(session, turn, text, "final_answer")
        writer.line("event_msg", {"type": "task_complete", "turn_id": turn, "last_agent_message": text, "completed_at": writer.ms // 1000, "duration_ms": 60000})
    writer.file.close()
    assert not wanted, f"the session {session} is too short for its messages"
    return SimpleNamespace(
        id=session, folder=folder, file_name=name, created_ms=ms, updated_ms=writer.ms, turn_ms=ms, cwd=cwd, prompt=first,
        source="exec", source_text=lambda: "exec", tokens=9000, archived_at=None, sha=None, branch=None, origin=None, nickname=None,
        model="gpt-5.5", effort=None, parent=None, name=None, pinned=0, originator="codex_exec")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--schema", required=True)
    parser.add_argument("data")
    parser.add_argument("--sessions", type=int, default=1800)
    parser.add_argument("--lines", type=int, default=340)
    args = parser.parse_args()
    home = os.path.join(args.data, "transcripts")
    current = {"format": FORMAT, "sessions": args.sessions, "lines": args.lines}
    mark = os.path.join(home, "needles.json")
    try:
        with open(mark, encoding="utf-8") as file:
            if json.load(file)["made"] == current:
                return 0
    except (OSError, ValueError, KeyError):
        pass
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    random = Random(SEED)
    of = {}
    each = min(EACH, args.sessions)
    for needle in NEEDLES:
        for number in random.sample(range(args.sessions), each):
            of.setdefault(number, []).append(needle)
    found = {needle: [] for needle in NEEDLES}
    sessions = []
    for number in range(args.sessions):
        sessions.append(write_session(home, number, args.lines, of.get(number, [])))
        for needle in of.get(number, []):
            found[needle].append(sessions[-1].id)
    write_database(os.path.join(home, "state_5.sqlite"), read_schema(args.schema), sessions, os.path.realpath(home))
    with open(mark, "w", encoding="utf-8") as file:
        json.dump({"made": current, "word": "sandbox", "needles": found}, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
