"""A run on hosts: the processor time of the runner alone, without that of the workers and their jobs."""
import os
import signal
import subprocess
import threading
import time

HOSTS = ("a", "b", "c")
SLOTS = 16
PATIENCE_SECONDS = 600
INTERVAL_SECONDS = 0.05


def describe_hosts(own, stub):
    """Hosts that are homes of this machine, each with a state directory and a Codex of its own."""
    text = ""
    for host in HOSTS:
        home = os.path.join(own, host)
        os.makedirs(os.path.join(home, "codex"))
        words = ["env", f"CODEX_HOME={home}/codex", f"CODEX_AGENT_STATE_HOME={home}/state", f"CODEX_AGENT_CODEX={stub}"]
        text += f"[host.{host}]\nvia = [{', '.join(repr(word) for word in words)}]\n"
    os.makedirs(os.path.join(own, "config"), exist_ok=True)
    with open(os.path.join(own, "config", "config.toml"), "w", encoding="utf-8") as file:
        file.write(text)


def measure(argv, env, own, stub, prompts, stdout, errors):
    """CPU ms, wall ms, peak memory in MB of the runner."""
    describe_hosts(own, stub)
    with open(prompts, "rb") as given, open(stdout, "wb") as out, open(errors, "wb") as said:
        started = time.perf_counter()
        process = subprocess.Popen(argv, env=env, stdin=given, stdout=out, stderr=said, start_new_session=True)
    peak, is_over = 0, threading.Event()

    def look():
        nonlocal peak
        while not is_over.wait(INTERVAL_SECONDS):
            try:
                with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
                    lines = [line for line in status if line.startswith("VmHWM:")]
            except OSError:
                continue
            peak = max([peak] + [int(line.split()[1]) for line in lines])

    looker = threading.Thread(target=look)
    looker.start()
    timer = threading.Timer(PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        # The times of an ended process can be read until it is waited for.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.perf_counter() - started
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(") ")[2].split()
        ticks = int(fields[11]) + int(fields[12])
    finally:
        timer.cancel()
        is_over.set()
        looker.join()
    if process.wait() != 0:
        raise EOFError(f"exit status {process.returncode}")
    return ticks * 1000 / os.sysconf("SC_CLK_TCK"), wall * 1000, peak * 1024 / 1e6
