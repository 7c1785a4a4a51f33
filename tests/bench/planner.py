"""A run on hosts: the processor time of the runner, with that of its ssh and without that of the workers and their jobs."""
import contextlib
import os
import signal
import subprocess
import threading
import time

import sshd

HOSTS = ("a", "b", "c")
SLOTS = 16
PATIENCE_SECONDS = 600
INTERVAL_SECONDS = 0.05


@contextlib.contextmanager
def describe_hosts(own, stub, tools, over_ssh):
    """Hosts that are homes of this machine, each with a state directory and a Codex of its own, also behind a sshd."""
    environments = {}
    for host in HOSTS:
        home = os.path.join(own, host)
        os.makedirs(os.path.join(home, "codex"))
        environments[host] = {"CODEX_HOME": f"{home}/codex", "CODEX_AGENT_STATE_HOME": f"{home}/state",
                              "CODEX_AGENT_CODEX": stub}
    if over_ssh:
        there = {host: {**own, "PATH": f"{tools}:{sshd.SYSTEM}"} for host, own in environments.items()}
        with sshd.hosts(own, there) as commands:
            write_config(own, commands)
            yield
        return
    write_config(own, {host: ["env"] + [f"{name}={value}" for name, value in variables.items()]
                       for host, variables in environments.items()})
    yield


def write_config(own, commands):
    text = ""
    for host, words in commands.items():
        text += f"[host.{host}]\nvia = [{', '.join(repr(word) for word in words)}]\n"
    os.makedirs(os.path.join(own, "config"), exist_ok=True)
    with open(os.path.join(own, "config", "config.toml"), "w", encoding="utf-8") as file:
        file.write(text)


def measure(argv, env, own, on_hosts, prompts, stdout, errors):
    """CPU ms, wall ms, peak memory in MB of the runner. The time of its ssh is part of it, and that of a worker is not."""
    stub, over_ssh = on_hosts
    with describe_hosts(own, stub, os.path.dirname(argv[0]), over_ssh):
        return measure_runner(argv, env, over_ssh, prompts, stdout, errors)


def measure_runner(argv, env, over_ssh, prompts, stdout, errors):
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
        # The processes that it waited for are its ssh, or its workers.
        ticks = sum(int(field) for field in fields[11:15 if over_ssh else 13])
    finally:
        timer.cancel()
        is_over.set()
        looker.join()
    if process.wait() != 0:
        raise EOFError(f"exit status {process.returncode}")
    return ticks * 1000 / os.sysconf("SC_CLK_TCK"), wall * 1000, peak * 1024 / 1e6
