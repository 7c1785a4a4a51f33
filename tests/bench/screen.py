"""Programs that draw a terminal: how long until they show something, and until they answer a key."""
import fcntl
import os
import pty
import re
import resource
import select
import signal
import struct
import termios
import time

# A screen that was not written to for so long is complete.
QUIET_SECONDS = 0.06
PATIENCE_SECONDS = 30


class Screen:
    """A program on a terminal of 120 columns and 40 rows."""

    def __init__(self, argv, env, cwd):
        self.started = time.perf_counter()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
                os.execve(argv[0], argv, dict(env, TERM="xterm-256color"))
            finally:
                os._exit(127)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.shown = b""

    def read(self, seconds):
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self.terminal, 65536)
        except OSError:
            more = b""
        if not more:
            raise EOFError(self.shown[-200:].decode(errors="replace"))
        self.shown += more
        return True

    def until(self, pattern, since):
        """Milliseconds until the pattern is shown."""
        while not re.search(pattern, self.shown):
            if time.perf_counter() - since > PATIENCE_SECONDS:
                raise TimeoutError(f"{pattern!r} was not shown")
            self.read(1)
        return (time.perf_counter() - since) * 1000

    def press(self, key):
        """Milliseconds from a key until the last change of the screen that follows it."""
        self.shown = b""
        since = last = time.perf_counter()
        os.write(self.terminal, key)
        while self.read(1 if last == since else QUIET_SECONDS):
            last = time.perf_counter()
        return (last - since) * 1000

    def end(self):
        """Kills the program and what it started; returns nothing, whatever the program says."""
        for kill in (os.killpg, os.kill):
            try:
                kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def measure(argv, env, cwd, first, loaded, keys):
    """CPU ms, wall ms, peak MB: of the first row that is shown, or, with keys, of the slowest of them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    screen = Screen(argv, env, cwd)
    try:
        wall = screen.until(first, screen.started)
        if keys:
            screen.until(loaded, screen.started)
            # The end of the list may draw once more.
            while screen.read(0.3):
                pass
            wall = max(screen.press(key.encode()) for key in keys)
    finally:
        screen.end()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return max(cpu * 1000, 0.01), wall, after.ru_maxrss * 1024 / 1e6
