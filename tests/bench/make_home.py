#!/usr/bin/env python3
"""Make the homes and records that the benchmark reads.

usage: make_home.py --schema STATE_5_SQLITE DATA [home-100k|home-20k|records-100k.ndjson ...]

The same seed gives the same bytes, as long as DATA is the same folder: Codex writes absolute
paths into its database and its rollouts, so the folder is part of the content.
What is already there and current is kept.
It is a program of its own so that its memory does not count for the processes measured later.
"""
import argparse
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from random import Random

# Change this when anything below changes what is written: old data is then made anew.
FORMAT = 1
SEED = 20261122
YEAR_END_MS = 1795305600000  # 2026-11-22T00:00:00Z; a fixed end, or the bytes would change daily.
DAY_MS = 86400000
CODEX = "0.169.0"

HOMES = {"home-100k": 100000, "home-20k": 20000}
RECORDS = {"records-100k.ndjson": 100000}

VERBS = """Fix Explain Rename Refactor Test Document Simplify Review Remove Split Merge Speed-up
Port Rewrite Check Trace Profile Move Inline Finish""".split()
# "login" is what the benchmark searches for: about one title in sixty has it.
# It stands nowhere else, so that any choice of searched columns finds the same sessions.
PARTS = """login form|parser|cache key|retry loop|error message|release script|date format|upload queue
|settings page|search index|test helper|build cache|JSON reader|path handling|config loader|progress bar
|thread pool|socket timeout|table layout|colour scheme|help text|signal handler|file watcher|lock file
|memory limit|sort order|page footer|import list|report view|mail template|price rounding|user menu
|image resize|backup job|log rotation|schema change|unit tests|type hints|feature flag|rate limiter
|worker pool|session store|command line|glob matching|zip reader|diff view|status line|tree walk
|database index|audit trail|invoice export|time zone|health check|version check|proxy setting|undo stack
|key binding|font fallback|scroll position|merge step""".replace("\n", "").split("|")
FILES = """src/main.rs|lib/store.py|app/index.ts|pkg/server.go|README.md|docs/guide.md|Makefile|src/lib.rs
|web/app.css|scripts/release.sh|core/parse.c|api/routes.rb""".replace("\n", "").split("|")
CLAUSES = [
    ", then run the tests", "; keep the old behaviour for now", ", it fails on a fresh checkout",
    ' and say "done" at the end', ", see what the last change did", "\n- one commit for each step",
    "\nDo not touch the public functions.", ", žádné nové závislosti", "; 日本語の説明も直す", " 🦀",
    ", don't break `make check`", ", the path has a back\\slash in it", ", and tell me why it was slow",
    "\n\tkeep the indentation", ", in small steps", ", as short as it can be made",
]
# The odd ones (quotes, line ends, other scripts) are rarer than plain words, as in real prompts.
CLAUSE_WEIGHTS = [6, 6, 6, 2, 6, 2, 2, 1, 1, 1, 2, 1, 6, 1, 6, 6]
NICKNAMES = "Kepler Aristotle Hypatia Euclid Noether Gauss Turing Lovelace Curie Darwin".split()
BRANCHES = "main main main develop fix/parser feature/export release-2 wip/cache topic/docs".split()
MODELS = ["gpt-5", "gpt-5", "gpt-5-codex", "gpt-5-mini"]
EFFORTS = [None, None, "medium", "high"]
PERMISSIONS = (
    '{"type":"managed","file_system":{"type":"restricted","entries":[{"path":{"type":"special",'
    '"value":{"kind":"root"}},"access":"read"}]},"network":"restricted"}'
)


def compact(value):
    """JSON as serde_json writes it: no spaces, other scripts as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Dice:
    """Random choices out of `random()` alone.

    Python promises that `random()` gives the same numbers in every version.
    It does not promise that for `choice` and its kin.
    """

    def __init__(self, name):
        digest = hashlib.sha256(f"{SEED} {name}".encode()).digest()
        self.random = Random(int.from_bytes(digest[:8], "big")).random

    def below(self, n):
        return int(self.random() * n)

    def pick(self, items):
        return items[int(self.random() * len(items))]

    def bits(self, n):
        """Up to 48 random bits: a float has no more to give at once."""
        return int(self.random() * (1 << n))

    def uuid7(self, ms):
        """A UUID of version 7: 48 bits of clock, the rest random."""
        a, b, c = self.bits(12), self.bits(14), self.bits(48)
        clock = f"{ms:012x}"
        return f"{clock[:8]}-{clock[8:]}-7{a:03x}-{0x8000 | b:04x}-{c:012x}"

    def hex(self, digits):
        return "".join(f"{self.bits(40):010x}" for _ in range((digits + 9) // 10))[:digits]


def weighted(items, weights):
    return [item for item, weight in zip(items, weights) for _ in range(weight)]


ALL_CLAUSES = weighted(CLAUSES, CLAUSE_WEIGHTS)


def make_prompt(dice):
    """A first message of 20 to 200 characters, short ones more often than long ones."""
    wanted = 26 + int(174 * dice.random() ** 2)
    text = f"{dice.pick(VERBS)} the {dice.pick(PARTS)} in {dice.pick(FILES)}"
    while len(text) < wanted:
        text += dice.pick(ALL_CLAUSES)
    return text[:200].rstrip()


def make_projects(base):
    """A hundred project folders, none inside another; seven of ten are git checkouts."""
    dice = Dice("projects")
    projects = []
    for n in range(100):
        name = dice.pick(PARTS).replace(" ", "-").lower().replace("login", "entry")
        git = None
        if n % 10 < 7:
            # A checkout without a remote is common, and Codex then leaves the address out.
            origin = f"https://example.com/acme/{name}-{n:02}.git" if n % 10 < 6 else None
            git = ([dice.hex(40) for _ in range(8)], origin)
        projects.append((f"{base}/{name}-{n:02}", git))
    return projects


class Session:
    """One session, as its database row and its rollout both tell it."""

    __slots__ = (
        "id", "parent", "nickname", "created_ms", "updated_ms", "turn_ms", "archived_at", "cwd", "sha",
        "branch", "origin", "prompt", "name", "source", "originator", "model", "effort", "tokens",
        "pinned", "file_name", "folder",
    )

    def source_text(self):
        """What the column `source` holds: a word, or an object as text for a subagent."""
        if self.parent is None:
            return self.source
        spawn = {
            "parent_thread_id": self.parent.id,
            "depth": 1,
            "agent_path": None,
            "agent_nickname": self.nickname,
            "agent_role": None,
        }
        return compact({"subagent": {"thread_spawn": spawn}})


def make_sessions(name, count, projects):
    """All sessions of a home, oldest first: every creation time occurs once."""
    dice = Dice(name)
    first = YEAR_END_MS - 365 * DAY_MS
    times = sorted(int(dice.random() * 365 * DAY_MS) for _ in range(count))
    sessions = []
    parent = None
    last = -1
    for offset in times:
        last = max(offset, last + 1)
        s = Session()
        s.created_ms = first + last
        s.id = dice.uuid7(s.created_ms)
        # Most turns take seconds; some sessions go on for hours.
        s.updated_ms = s.created_ms + 900 + int(3 * 3600000 * dice.random() ** 6)
        s.turn_ms = s.created_ms + 97
        s.prompt = make_prompt(dice)
        s.tokens = 900 + dice.below(250000)
        s.model = dice.pick(MODELS)
        s.effort = dice.pick(EFFORTS)
        s.parent = parent if parent is not None and dice.random() < 0.1 else None
        s.nickname = dice.pick(NICKNAMES) if s.parent else None
        if s.parent:
            # A subagent works where its parent works.
            for field in ("cwd", "sha", "branch", "origin", "source", "originator"):
                setattr(s, field, getattr(s.parent, field))
        else:
            s.cwd, git = projects[int(len(projects) * dice.random() ** 1.3)]
            s.sha, s.branch, s.origin = None, None, None
            if git:
                s.sha, s.branch, s.origin = dice.pick(git[0]), dice.pick(BRANCHES), git[1]
            # A terminal session of this version says `vscode`: its background daemon speaks for it.
            s.source, s.originator = dice.pick([("exec", "codex_exec"), ("vscode", "codex-tui")])
        archived = dice.random() < 0.05
        s.archived_at = (s.updated_ms // 1000 + 60 + dice.below(5 * 86400)) if archived else None
        s.name = None
        if dice.random() < 0.03:
            s.name = f"{dice.pick(PARTS)} {len(sessions)}".replace("login form", "entry form")
        s.pinned = 1 if dice.random() < 0.005 else 0
        when = time.gmtime(s.created_ms // 1000)
        s.folder = "archived_sessions" if archived else time.strftime("sessions/%Y/%m/%d", when)
        s.file_name = f"rollout-{time.strftime('%Y-%m-%dT%H-%M-%S', when)}-{s.id}.jsonl"
        sessions.append(s)
        if s.parent is None:
            parent = s
    return sessions


def iso(ms):
    """A time as Codex and our records write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}Z"


# ---------------------------------------------------------------------------------------------
# The database


def read_schema(path):
    """A recorded database opened as a copy, because even a reader leaves files beside it."""
    scratch = tempfile.mkdtemp()
    try:
        # In WAL mode the newest pages may be in the log alone.
        copy = os.path.join(scratch, "state_5.sqlite")
        shutil.copyfile(path, copy)
        if os.path.exists(path + "-wal"):
            shutil.copyfile(path + "-wal", copy + "-wal")
        db = sqlite3.connect(copy)
        # Automatic indexes have no text: their tables bring them.
        sql = [row[0] for row in db.execute(
            "select sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by rowid")]
        pragmas = [(name, db.execute(f"pragma {name}").fetchone()[0])
                   for name in ("page_size", "auto_vacuum", "user_version", "application_id")]
        # What says which version of the schema this is, and that Codex has nothing left to import.
        rows = {}
        for table in ("_sqlx_migrations", "backfill_state", "thread_sections"):
            rows[table] = db.execute(f"select * from {table} order by 1").fetchall()
        db.close()
    finally:
        shutil.rmtree(scratch)
    if not any(line.startswith("CREATE TABLE threads") for line in sql):
        raise SystemExit(f"make_home: {path}: no table 'threads' in it")
    return sql, pragmas, rows


def thread_row(s, home):
    return {
        "id": s.id,
        "rollout_path": f"{home}/{s.folder}/{s.file_name}",
        "created_at": s.created_ms // 1000,
        "updated_at": s.updated_ms // 1000,
        "source": s.source_text(),
        "model_provider": "openai",
        "cwd": s.cwd,
        "title": s.prompt,
        "sandbox_policy": PERMISSIONS,
        "approval_mode": "never" if s.source == "exec" else "on-request",
        "tokens_used": s.tokens,
        "has_user_event": 0,
        "archived": 1 if s.archived_at else 0,
        "archived_at": s.archived_at,
        "git_sha": s.sha,
        "git_branch": s.branch,
        "git_origin_url": s.origin,
        "cli_version": CODEX,
        "first_user_message": s.prompt,
        "agent_nickname": s.nickname,
        "agent_role": None,
        "memory_mode": "enabled",
        "model": s.model,
        "reasoning_effort": s.effort,
        "created_at_ms": s.created_ms,
        "updated_at_ms": s.updated_ms,
        "thread_source": "subagent" if s.parent else "user",
        "preview": s.prompt,
        "recency_at": s.turn_ms // 1000,
        "recency_at_ms": s.turn_ms,
        "history_mode": "paginated",
        "name": s.name,
        "is_pinned": s.pinned,
        "originator": s.originator,
    }


def write_database(path, schema, sessions, home):
    sql, pragmas, rows = schema
    # Manual transactions: the module's own would open one before a pragma that must stand outside.
    db = sqlite3.connect(path, isolation_level=None)
    for name, value in pragmas:
        db.execute(f"pragma {name}={value}")
    db.execute("pragma journal_mode=off")
    db.execute("pragma synchronous=off")
    db.execute("pragma cache_size=-262144")
    db.execute("begin")
    # The indexes grow with the rows, as in a real home: built afterwards they would be denser.
    for line in sql:
        db.execute(line)
    # SQLite has a table of its own where there ever was a counting key, and this is the way to get it.
    db.execute("create table counting (id integer primary key autoincrement)")
    db.execute("drop table counting")
    for table, values in rows.items():
        if values:
            marks = ",".join("?" * len(values[0]))
            db.executemany(f"insert into {table} values ({marks})", values)
    columns = list(thread_row(sessions[0], home))
    statement = "insert into threads ({}) values ({})".format(
        ",".join(columns), ",".join(":" + column for column in columns))
    db.executemany(statement, (thread_row(s, home) for s in sessions))
    db.executemany("insert into thread_spawn_edges values (?, ?, 'open')",
                   ((s.parent.id, s.id) for s in sessions if s.parent))
    db.execute("commit")
    # Last, so that nothing but the header goes through the log; closing then removes the log.
    mode = db.execute("pragma journal_mode=wal").fetchone()[0]
    db.close()
    if mode != "wal" or os.path.exists(path + "-wal"):
        raise SystemExit(f"make_home: {path}: could not leave a clean database in WAL mode")


# ---------------------------------------------------------------------------------------------
# The rollouts


def make_instructions():
    """About 20 KB of text as dense in line ends and quotes as real base instructions are."""
    dice = Dice("instructions")
    lines = ["You are a coding agent that works in a terminal.", ""]
    size = 0
    while size < 20200:
        kind = dice.below(12)
        if kind == 0:
            line = f"\n## {dice.pick(VERBS)} the {dice.pick(PARTS)}\n"
        elif kind < 5:
            line = f"- {dice.pick(VERBS)} `{dice.pick(FILES)}` before you call the {dice.pick(PARTS)} \"ready\"."
        elif kind == 5:
            line = f"\t{{\"path\": \"{dice.pick(FILES)}\", \"check\": \"{dice.pick(PARTS)}\"}}"
        else:
            line = (f"When the {dice.pick(PARTS)} is unclear, look at {dice.pick(FILES)} first; "
                    f"don't guess what the {dice.pick(PARTS)} does.")
        lines.append(line)
        size = len(compact("\n".join(lines))) if len(lines) % 16 == 0 else size + len(line)
    # The needle of the search must not stand in every file.
    return "\n".join(lines).replace("login form", "entry form")


class Rollouts:
    """Writes rollouts line by line in the order of keys that Codex uses.

    The lines are put together as text: twenty thousand files by way of dictionaries take minutes.
    """

    def __init__(self):
        self.instructions = compact(make_instructions())

    def text(self, s, dice):
        cwd = compact(s.cwd)
        prompt = compact(s.prompt)
        answer = compact(f"I have looked at it: {s.prompt[:60]}")
        effort = compact(s.effort)
        root = s.parent.id if s.parent else s.id
        parent = f'"parent_thread_id":"{root}",' if s.parent else ""
        source = s.source_text() if s.parent else compact(s.source)
        nickname = f'"agent_nickname":"{s.nickname}",' if s.parent else ""
        version = '"multi_agent_version":"v1",' if s.parent else ""
        git = ""
        if s.sha:
            origin = f',"repository_url":{compact(s.origin)}' if s.origin else ""
            git = f',"git":{{"commit_hash":"{s.sha}","branch":{compact(s.branch)}{origin}}}'
        turn = dice.uuid7(s.turn_ms)
        item = dice.uuid7(s.turn_ms + 140)
        answer_id = "msg_" + dice.hex(32)
        retained = dice.uuid7(s.turn_ms + 141)
        # The last line carries the time that the database has as `updated_at`.
        end = s.updated_ms
        t0, t1, t2, t3, t4 = (iso(t) for t in (s.turn_ms, s.turn_ms + 80, s.turn_ms + 140, end - 200, end))
        used_in = s.tokens - 120
        usage = (f'{{"input_tokens":{used_in},"cached_input_tokens":{used_in // 2},"cache_write_input_tokens":0,'
                 f'"output_tokens":120,"reasoning_output_tokens":0,"total_tokens":{s.tokens}}}')
        approval = "never" if s.source == "exec" else "on-request"
        return (
            f'{{"timestamp":"{t0}","ordinal":0,"type":"session_meta","payload":{{"account_scoped":true,'
            f'"session_id":"{root}","id":"{s.id}",{parent}"timestamp":"{iso(s.created_ms)}","cwd":{cwd},'
            f'"runtime_workspace_roots":[{cwd}],"originator":"{s.originator}","cli_version":"{CODEX}",'
            f'"source":{source},"thread_source":"{"subagent" if s.parent else "user"}",{nickname}'
            f'"model_provider":"openai","base_instructions":{{"text":{self.instructions},'
            f'"provenance":{{"type":"model","model":"{s.model}"}}}},"history_mode":"paginated",{version}'
            f'"context_window":{{"window_id":"{dice.uuid7(s.created_ms + 2)}"}}{git}}}}}\n'

            f'{{"timestamp":"{t0}","ordinal":1,"type":"event_msg","payload":{{"type":"task_started",'
            f'"turn_attribution":{{"turn_id":"{turn}","turn_trigger":"exec","parent_turn_id":null,'
            f'"initiating_agent_path":null,"root_turn_id":"{turn}"}},"turn_id":"{turn}","root_turn_id":"{turn}",'
            f'"started_at":{s.turn_ms // 1000},"model_context_window":258400,"collaboration_mode_kind":"default"}}}}\n'

            f'{{"timestamp":"{t1}","ordinal":2,"type":"turn_context","payload":{{"turn_id":"{turn}",'
            f'"root_turn_id":"{turn}","disabled_plugin_ids":[],"cwd":{cwd},"approval_policy":"{approval}",'
            f'"approvals_reviewer":"user","permission_profile":{PERMISSIONS},'
            f'"active_permission_profile":{{"id":":read-only"}},"model":"{s.model}",'
            f'"collaboration_mode":{{"mode":"default","settings":{{"model":"{s.model}","reasoning_effort":{effort},'
            f'"developer_instructions":null}}}},"multi_agent_version":"v1","realtime_active":false,'
            + (f'"effort":{effort},' if s.effort else "") +
            f'"summary":"none","sandbox_policy":{{"type":"read-only"}}}}}}\n'

            f'{{"timestamp":"{t2}","ordinal":3,"type":"response_item","payload":{{"type":"message",'
            f'"id":"msg_{item}","role":"user","content":[{{"type":"input_text","text":{prompt}}}],'
            f'"internal_chat_message_metadata_passthrough":{{"turn_id":"{turn}",'
            f'"create_time":{(s.turn_ms + 140) / 1000},"content_item_kinds":["user.text"],'
            f'"content_item_metadata":[{{"provenance":{{"type":"user"}}}}]}}}},"metadata":{{"history_sequence":1,'
            f'"sampled_through_sequence":0,"retained_source":{{"id":{{"message_id":"msg_{item}","turn_id":"{turn}",'
            f'"role":"user"}},"revision":"retained_{retained}","complete":true}},"client_authored":false,'
            f'"user_input_order":0,"mcp_attribution":{{"status":"none"}}}}}}\n'

            f'{{"timestamp":"{t2}","ordinal":4,"type":"event_msg","payload":{{"type":"item_completed",'
            f'"thread_id":"{s.id}","turn_id":"{turn}","item":{{"type":"UserMessage","id":"{item}",'
            f'"content":[{{"type":"text","text":{prompt},"text_elements":[]}}]}},'
            f'"started_at_ms":{s.turn_ms + 140},"completed_at_ms":{s.turn_ms + 140}}}}}\n'

            f'{{"timestamp":"{t3}","ordinal":5,"type":"event_msg","payload":{{"type":"item_completed",'
            f'"thread_id":"{s.id}","turn_id":"{turn}","item":{{"type":"AgentMessage","id":"{answer_id}",'
            f'"content":[{{"type":"Text","text":{answer}}}]}},'
            f'"started_at_ms":{end - 200},"completed_at_ms":{end - 200}}}}}\n'

            f'{{"timestamp":"{t3}","ordinal":6,"type":"event_msg","payload":{{"type":"token_count",'
            f'"info":{{"total_token_usage":{usage},"last_token_usage":{usage},'
            f'"last_usage_includes_reasoning":false,"model_context_window":258400}},'
            f'"rate_limits":{{"limit_id":"codex","limit_name":null,"primary":null,"secondary":null,"credits":null,'
            f'"individual_limit":null,"spend_control_reached":null,"plan_type":null,'
            f'"rate_limit_reached_type":null}}}}}}\n'

            f'{{"timestamp":"{t4}","ordinal":7,"type":"event_msg","payload":{{"type":"task_complete",'
            f'"root_turn_id":"{turn}","turn_id":"{turn}","last_agent_message":{answer},'
            f'"started_at":{s.turn_ms // 1000},"completed_at":{end // 1000},'
            f'"duration_ms":{end - s.turn_ms},"time_to_first_token_ms":209}}}}\n'
        )

    def write(self, root, sessions):
        dice = Dice("rollouts")
        made = set()
        for s in sessions:
            folder = f"{root}/{s.folder}"
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            path = f"{folder}/{s.file_name}"
            with open(path, "wb", buffering=0) as file:
                file.write(self.text(s, dice).encode())
            # Without a database an archived file's own time is all there is for `archived_at`.
            seconds = s.archived_at * 1000 if s.archived_at else s.updated_ms
            os.utime(path, ns=(seconds * 1000000, seconds * 1000000))


# ---------------------------------------------------------------------------------------------
# Homes and records


def make_home(part, home, schema, name):
    """Writes into `part` what is true once it is renamed to `home`."""
    projects = make_projects(os.path.join(os.path.dirname(home), "projects"))
    # A tool may make a folder's path canonical before it compares: the folders must be there.
    for path, _ in projects:
        os.makedirs(path, exist_ok=True)
    sessions = make_sessions(name, HOMES[name], projects)
    os.makedirs(part)
    if name == "home-20k":
        Rollouts().write(part, sessions)
    write_database(os.path.join(part, "state_5.sqlite"), schema, sessions, home)
    with open(os.path.join(part, "session_index.jsonl"), "w", encoding="utf-8") as file:
        for s in sessions:
            if s.name:
                named = iso(s.updated_ms + 5000)
                file.write(compact({"id": s.id, "thread_name": s.name, "updated_at": named}) + "\n")
    with open(os.path.join(part, "config.toml"), "w", encoding="utf-8") as file:
        file.write('model = "gpt-5"\n\n[tui]\nnotifications = false\n')


def make_records(part, name):
    """Session records as `ls --json` writes them, plus a field that no version of ours knows.

    Nothing here is on disk, so the paths are made up, and the bytes are the same on every machine.
    """
    sessions = make_sessions(name, RECORDS[name], make_projects("/home/ada/src"))
    with open(part, "w", encoding="utf-8", newline="\n") as file:
        for s in sessions:
            git = {"sha": s.sha, "branch": s.branch, "origin_url": s.origin} if s.sha else None
            subagent = None
            if s.parent:
                subagent = {"parent": s.parent.id, "nickname": s.nickname, "role": None}
            record = {
                "type": "session", "id": s.id, "name": s.name, "title": s.prompt,
                "first_user_message": s.prompt, "cwd": s.cwd,
                "created_at": iso(s.created_ms), "updated_at": iso(s.updated_ms),
                "archived_at": iso(s.archived_at * 1000) if s.archived_at else None,
                "source": "subagent" if s.parent else s.source, "originator": s.originator,
                "subagent": subagent, "model": s.model, "reasoning_effort": s.effort,
                "model_provider": "openai", "cli_version": CODEX, "git": git,
                "rollout_path": f"/home/ada/.codex/{s.folder}/{s.file_name}",
                "history": "paginated", "tokens_used": s.tokens, "pinned": bool(s.pinned),
                "found_in": "both",
                "x_review": {"score": s.tokens % 100, "by": "somebody else's tool", "labels": ["keep", "later"]},
            }
            file.write(compact(record) + "\n")


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


def size_of(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path) for name in names)


def provide(data, name, schema_path):
    """Makes one home or record file where it is not there or not current; tells whether it did."""
    target = os.path.join(data, name)
    stamp_path = target + ".stamp"
    stamp = {"format": FORMAT, "seed": SEED}
    schema = None
    if name in HOMES:
        stamp["home"] = target
        if os.path.exists(schema_path):
            try:
                schema = read_schema(schema_path)
            except sqlite3.Error as error:
                raise SystemExit(f"make_home: {schema_path}: {error}")
            stamp["schema"] = hashlib.sha256("\n".join(schema[0]).encode()).hexdigest()
    try:
        with open(stamp_path, encoding="utf-8") as file:
            old = json.load(file)
    except (OSError, ValueError):
        old = None
    # Without a schema to compare, data that is current in all else still serves.
    if old is not None and os.path.exists(target) and all(old.get(k) == v for k, v in stamp.items()):
        return False
    if name in HOMES and schema is None:
        raise SystemExit(f"make_home: {schema_path}: not there; name a recorded state_5.sqlite with --schema")
    if old is None and os.path.exists(target):
        # A folder of this name that this program did not make may be somebody's own.
        raise SystemExit(f"make_home: {target}: is there without its .stamp file; move or delete it first")
    if shutil.disk_usage(data).free < 1500000000:
        raise SystemExit(f"make_home: {data}: less than 1.5 GB free")

    started = time.monotonic()
    print(f"making {name} ...", end=" ", file=sys.stderr, flush=True)
    part = target + ".part"
    remove(part)
    if name in HOMES:
        make_home(part, target, schema, name)
    else:
        make_records(part, name)
    # The stamp goes before the rename: killed between the two, the next run starts over by itself.
    remove(target)
    with open(stamp_path, "w", encoding="utf-8") as file:
        json.dump(stamp, file)
    os.rename(part, target)
    print(f"{size_of(target) / 1e6:.0f} MB, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return True


def main():
    parser = argparse.ArgumentParser(description="Make the homes and records that the benchmark reads.")
    parser.add_argument("--schema", required=True, metavar="FILE", help="a recorded state_5.sqlite")
    parser.add_argument("data", metavar="DATA", help="the folder to make them in")
    parser.add_argument("names", nargs="*", metavar="NAME", help="home-100k, home-20k, records-100k.ndjson")
    args = parser.parse_args()
    every = list(HOMES) + list(RECORDS)
    for name in args.names:
        if name not in every:
            parser.error(f"unknown name '{name}'; there are: {', '.join(every)}")
    # Codex stores canonical paths.
    data = os.path.realpath(args.data)
    os.makedirs(data, exist_ok=True)
    try:
        made = [name for name in args.names or every if provide(data, name, args.schema)]
    except (OSError, sqlite3.Error) as error:
        raise SystemExit(f"make_home: {error}")
    if made:
        # Or the disk would still be busy with all this while times are taken.
        os.sync()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
