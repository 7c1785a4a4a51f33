"""Hosts behind real ssh: a sshd for each on the loopback interface, with keys of its own."""
import contextlib
import os
import shutil
import socket
import subprocess
import time

PATIENCE_SECONDS = 10
SYSTEM = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def find(name):
    return shutil.which(name, path=SYSTEM)


def make_key(path):
    subprocess.run([find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, stdin=subprocess.DEVNULL)


def wait_for(port):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise EOFError("sshd does not start")


@contextlib.contextmanager
def hosts(own, environments):
    """Starts a sshd for each host, whose commands get the environment, and gives the command that reaches each."""
    if os.geteuid() == 0:
        # The directory of sshd's privilege separation, which an init script makes.
        os.makedirs("/run/sshd", exist_ok=True)
    key, host_key, config = (os.path.join(own, name) for name in ("key", "host-key", "ssh_config"))
    make_key(key)
    make_key(host_key)
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"Host *\n  HostName 127.0.0.1\n  IdentityFile {key}\n  IdentitiesOnly yes\n  BatchMode yes\n"
                   "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n")
    daemons, commands = [], {}
    try:
        for host, environment in environments.items():
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            server = os.path.join(own, f"sshd-{host}")
            variables = " ".join(f'"{name}={value}"' for name, value in environment.items())
            with open(server, "w", encoding="utf-8") as file:
                file.write(f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {host_key}\nPidFile none\nUsePAM no\n"
                           f"AuthorizedKeysFile {key}.pub\nStrictModes no\nPermitRootLogin prohibit-password\n"
                           f"PrintMotd no\nPrintLastLog no\nSetEnv {variables}\n")
            daemons.append(subprocess.Popen([find("sshd"), "-D", "-f", server], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_for(port)
            commands[host] = [find("ssh"), "-F", config, "-T", "-p", str(port), "-o", "ServerAliveInterval=15", "--", host]
        yield commands
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
