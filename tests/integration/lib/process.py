# SPDX-License-Identifier: BSD-2-Clause
"""Child processes: started with their output in a file, ended by their own process id."""
import os
import re
import signal
import subprocess

from lib.wait import PATIENCE

SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer"
                       r"|runtime error:|WARNING: ThreadSanitizer")
LIVE = []  # everything that runs or ran in this test process, for its logs


class Process:
    def __init__(self, name, argv, log, env=None, cwd=None):
        self.name, self.argv, self.log = name, argv, str(log)
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env=dict(os.environ, **(env or {})), cwd=cwd)
        LIVE.append(self)

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def send(self, signum):
        self.child.send_signal(signum)

    def wait(self, seconds=PATIENCE):
        return self.child.wait(seconds)

    def stop(self, signum=signal.SIGTERM, seconds=PATIENCE):
        """End it and return its status; one that does not end is killed, and that is a failure."""
        if self.running():
            self.send(signum)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError("%s did not end on signal %d" % (self.name, signum))

    def kill(self):
        self.child.kill()
        return self.child.wait()

    def sanitizer_report(self):
        match = SANITIZER.search(self.text())
        return self.text()[max(0, match.start() - 200):match.start() + 4000] if match else None

    def memory(self, field="VmRSS"):
        """Bytes, from /proc."""
        with open("/proc/%d/status" % self.pid) as f:
            return int(re.search(field + r":\s+(\d+) kB", f.read()).group(1)) * 1024


def tail(path, lines=150):
    try:
        with open(path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except FileNotFoundError:
        return ""
