"""A program that follows sessions: how long until it prints a line that was written, and what it costs at rest."""
import json
import os
import resource
import select
import signal
import statistics
import subprocess
import time

WRITES = 20
REST_SECONDS = 3
PATIENCE_SECONDS = 30
TIME = "2026-11-28T12:08:15.000Z"


def line(kind, payload):
    return json.dumps({"timestamp": TIME, "type": kind, "payload": payload}, separators=(",", ":")) + "\n"


def message(text):
    return line("event_msg", {"type": "user_message", "message": text})


def make_home(home, count):
    """Sessions of two days with a turn each; returns their rollouts."""
    paths = []
    for number in range(count):
        day = os.path.join(home, "sessions", "2026", "11", f"{27 + number % 2}")
        os.makedirs(day, exist_ok=True)
        session = f"01a2220e-0000-7000-8000-{number:012x}"
        path = os.path.join(day, f"rollout-2026-11-{27 + number % 2}T12-08-14-{session}.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(line("session_meta", {"id": session, "timestamp": TIME, "cwd": "/p", "source": "exec"}))
            file.write(message(f"question {number}"))
            file.write(line("event_msg", {"type": "agent_message", "message": "answer " * 400}))
        paths.append(path)
    return paths


class Follower:
    """A program whose output is read as it is written."""

    def __init__(self, argv, env, cwd, errors):
        with open(errors, "wb") as file:
            self.process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=file)
        self.printed = b""

    def until(self, word, seconds):
        """Whether the word is printed in this time."""
        until = time.perf_counter() + seconds
        while word not in self.printed:
            left = until - time.perf_counter()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return False
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise EOFError(self.printed[-200:].decode(errors="replace"))
            self.printed += more
        return True

    def cpu_ms(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def measure(argv, env, home, errors, count):
    """CPU ms in a second at rest, wall ms from a write until its line is printed (the median), peak MB."""
    paths = make_home(home, count)
    follower = Follower(argv, env, home, errors)
    try:
        # It follows as soon as it prints what is written.
        for number in range(PATIENCE_SECONDS):
            append(paths[0], message(f"begun-{number}-"))
            if follower.until(b"begun-", 1):
                break
        else:
            raise TimeoutError("nothing was printed")
        walls = []
        for number in range(WRITES):
            word = f"written-{number}-"
            # Sessions that were at rest and in no order, at no fixed time after a poll.
            time.sleep(0.05 + number % 7 * 0.02)
            since = time.perf_counter()
            append(paths[(number * 197 + 3) % count], message(word))
            if not follower.until(word.encode(), PATIENCE_SECONDS):
                raise TimeoutError(f"{word} was not printed")
            walls.append((time.perf_counter() - since) * 1000)
        # The files that were written are closed after ten seconds.
        time.sleep(12)
        before = follower.cpu_ms()
        time.sleep(REST_SECONDS)
        cpu = (follower.cpu_ms() - before) / REST_SECONDS
    finally:
        follower.end()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(cpu, 0.01), statistics.median(walls), peak * 1024 / 1e6
