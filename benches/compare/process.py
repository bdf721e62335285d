"""Processes that are pinned to cores, and what they have used so far, by /proc."""

import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
#: How long a server may take to stop before it is killed, in seconds.
STOP_SECONDS = 10


class Process:
    """A program on the given cores, with all the processes that it starts."""

    def __init__(self, command, cores, log, cwd=None, env=None):
        def pin():
            os.sched_setaffinity(0, cores)

        self.log = log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=env,
                start_new_session=True,
                preexec_fn=pin,
            )

    def pids(self):
        """This process and all below it."""
        found = [self.child.pid]
        for pid in found:
            found.extend(_children(pid))
        return found

    def cpu_seconds(self):
        """User and system time of all of them so far."""
        return sum(_cpu_ticks(pid) for pid in self.pids()) / TICKS

    def rss_mb(self):
        """Resident memory of all of them, in MB of 10^6 bytes. What they share counts for each."""
        return sum(_rss_kib(pid) for pid in self.pids()) * 1024 / 1e6

    def check(self):
        """Ends the run where the process has ended."""
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.child.args} ended with {self.child.returncode}:\n{self.tail()}")

    def tail(self):
        """The end of what it said."""
        with open(self.log, "rb") as file:
            file.seek(max(0, os.path.getsize(self.log) - 3000))
            return file.read().decode(errors="replace")

    def stop(self):
        """Stops it in order, and kills what is left of it after a while."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            # The group is the session that it began: nobody else's.
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def wait_until(ready, process, seconds=60):
    """Waits until `ready()`; ends the run where the process ends first or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        process.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{process.child.args} is not ready after {seconds} s:\n{process.tail()}")
        time.sleep(0.002)


def _children(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found.extend(int(word) for word in file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _cpu_ticks(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            # The name may hold blanks and parentheses: what follows the last one is regular.
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])


def _rss_kib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
