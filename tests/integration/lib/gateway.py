# SPDX-License-Identifier: BSD-2-Clause
"""One gatewayd with its folder, its configuration, its devices and its Mosquitto."""
import collections
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from lib import client, config, process, wire
from lib.broker import Broker
from lib.wait import PATIENCE, until

GATEWAYD = os.environ.get("GATEWAYD", "gatewayd")
GATEWAYCTL = os.environ.get("GATEWAYCTL", "gatewayctl")
# Leaks are looked for when gatewayd ends; an error ends it at once.
SANITIZER_ENV = {"ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
                 "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
                 "TSAN_OPTIONS": "halt_on_error=1"}

Device = collections.namedtuple("Device", "name cert key")
Result = collections.namedtuple("Result", "status out err")


def _sanitized():
    program = Path(shutil.which(GATEWAYD) or GATEWAYD).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


# A sanitizer keeps freed memory: how much the process grows then says nothing.
SANITIZED = _sanitized()


def run_ctl(conf, *args, output=None, status=0, input=None):
    """gatewayctl with a configuration file; the result parsed when output is "json"."""
    argv = [GATEWAYCTL, "-c", conf] + (["-o", output] if output else []) + list(args)
    done = subprocess.run(argv, stdin=None if input else subprocess.DEVNULL, input=input,
                          capture_output=True, text=True, timeout=2 * PATIENCE,
                          env=dict(os.environ, **SANITIZER_ENV))
    assert status is None or done.returncode == status, \
        "%s: status %d\n%s%s" % (" ".join(argv), done.returncode, done.stdout, done.stderr)
    if output == "json":
        return json.loads(done.stdout)
    return Result(done.returncode, done.stdout, done.stderr)


class Gateway:
    """
    conf: changes over the usual configuration; broker: keywords for Broker;
    pki: a state folder made by `gatewayctl init`, copied.
    """

    def __init__(self, pki, conf=None, broker=None, start_broker=True, start=True):
        # Short: a path of a unix socket has at most 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="gw-")
        self.numbers = itertools.count(1)  # of devices
        self.process, self.port = None, None
        self.state = self.path("state")
        self.conf_file = self.path("gateway.conf")
        self.log = self.path("gatewayd.log")
        shutil.copytree(pki, self.state)
        self.broker = Broker(self.folder, **(broker or {}))
        self.conf = config.merge({
            "gateway": {"name": "gw", "workers": 2, "state_directory": self.state,
                        "control_socket": self.path("control.sock")},
            "listeners": ({"address": "127.0.0.1", "port": 0},),
            "upstream": {"path": self.broker.socket, "retry_min": "50ms", "retry_max": "200ms"},
            # Silent, so that tests see only what they are about; test_uplink.py has it on.
            "uplink": {"status_topic": "", "presence_topic": ""},
            "maps": config.MAPS,
            "log": {"level": "debug"},
        }, conf or {})
        self.write_conf()
        try:
            if start_broker:
                self.broker.start()
            if start:
                self.start()
        except BaseException:
            self.abandon()  # no fixture knows it yet
            raise

    def abandon(self):
        """End everything, whatever state it is in."""
        if self.process is not None:
            self.process.kill()
            self.process = None
        self.broker.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def ca(self):
        return os.path.join(self.state, "pki", "ca.crt")

    # ---- configuration -----------------------------------------------------------

    def write_conf(self, **changes):
        self.conf = config.merge(self.conf, changes)
        with open(self.conf_file, "w") as f:
            f.write(config.settings(self.conf))

    def ctl(self, *args, **kw):
        return run_ctl(self.conf_file, *args, **kw)

    def status(self):
        return self.ctl("status", output="json")

    def metrics(self):
        return self.status()["metrics"]

    def sessions(self, identity=None):
        """What the daemon says of its sessions, by `devices show` or `devices`."""
        rows = self.ctl("devices", output="json")
        rows = rows["devices"] if isinstance(rows, dict) else rows
        return [r for r in rows if identity is None or r["identity"] == identity]

    # ---- life --------------------------------------------------------------------

    def start(self):
        """Start gatewayd; a second start takes the port of the first."""
        self.process = process.Process("gatewayd", [GATEWAYD, "-c", self.conf_file], self.log,
                                       env=SANITIZER_ENV)
        self.port = until(self._bound_port, "gatewayd to answer")
        return self

    def _bound_port(self):
        if not self.process.running():
            raise AssertionError("gatewayd does not start:\n" + process.tail(self.log))
        result = self.ctl("-o", "json", "status", status=None)
        return result.status == 0 and json.loads(result.out)["listeners"][0]["port"]

    def keep_port(self):
        """Write the bound port into the configuration: for restarts."""
        self.write_conf(listeners=({"address": "127.0.0.1", "port": self.port},))

    def stop(self):
        """SIGTERM: must end well, and no sanitizer may have anything to say."""
        if self.process is None:
            return
        child, self.process = self.process, None
        status = child.stop(signal.SIGTERM, 2 * PATIENCE)
        report = child.sanitizer_report()
        assert report is None, "a sanitizer report of gatewayd:\n" + report
        assert status == 0, "gatewayd ended with status %d:\n%s" % (status, process.tail(self.log))

    def kill(self):
        child, self.process = self.process, None
        report = child.sanitizer_report()
        child.kill()
        assert report is None, "a sanitizer report of gatewayd:\n" + report

    def close(self):
        try:
            self.stop()
        finally:
            self.broker.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def text(self):
        return process.tail(self.log, 1000000)

    def logs(self):
        """Everything that helps to understand a failure."""
        parts = [("gateway.conf", self.conf_file), ("mosquitto.log", self.broker.log),
                 ("mosquitto", self.path("mosquitto.out")), ("gatewayd", self.log)]
        return [("%s in %s" % (name, self.folder), process.tail(path, 80)) for name, path in parts]

    # ---- devices -----------------------------------------------------------------

    def enroll(self, name=None, *options):
        """A device with key and certificate by `gatewayctl enroll`; a new name when none is given."""
        name = name or "dev%d" % next(self.numbers)
        folder = self.path(name)
        key = os.path.join(folder, "device.key")
        os.mkdir(folder)
        self.ctl("enroll", "--name", name, "--key-out", key, "--out", folder, *options)
        return Device(name, os.path.join(folder, "device.crt"), key)

    def dial(self, device, version=wire.V311, tls=None, buffer=None, session=None):
        """A raw client behind a finished TLS handshake, nothing sent yet."""
        context = client.tls_context(self.ca, device, tls)
        sock = client.tls_socket(self.port, context, buffer=buffer, session=session)
        return client.Client(sock, version)

    def client(self, device=None, version=wire.V311, code=0, tls=None, buffer=None, **kw):
        """A raw client behind CONNACK; what CONNACK said is in .connack."""
        if version == wire.V31:
            kw.setdefault("client_id", "x")
        one = self.dial(device or self.enroll(), version, tls, buffer)
        one.connack = one.connect(code=code, **kw)
        return one
