#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measure gatewayd beside Mosquitto's own TLS listener, on loopback.

Starts private servers on free ports in a temporary folder, fresh ones for
every measurement, and prints one table. Run it in the build folder, or name
that with --build. Nothing is left behind.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SERVERS = ("mosquitto", "gatewayd")
# A device keeps up to four sessions for resumption; so many clients share a certificate.
CLIENTS_PER_CERTIFICATE = 4

# name, load arguments, how many times fewer with --quick
MEASUREMENTS = (
    ("storm, TLS 1.3", ["--mode", "storm"], {"count": 1000}),
    ("storm, TLS 1.2", ["--mode", "storm", "--tls12"], {"count": 1000}),
    ("storm, TLS 1.2, no tickets", ["--mode", "storm", "--tls12", "--no-tickets"], {"count": 1000}),
    ("QoS 0, 1 connection", ["--mode", "qos0", "--count", "1"], {"messages": 300000}),
    ("QoS 0, 100 connections", ["--mode", "qos0", "--count", "100"], {"messages": 500000}),
    ("QoS 0, 1000 connections", ["--mode", "qos0", "--count", "1000"], {"messages": 500000}),
    ("QoS 1, 1 connection", ["--mode", "qos1", "--count", "1"], {"messages": 100000}),
    ("QoS 1, 100 connections", ["--mode", "qos1", "--count", "100"], {"messages": 200000}),
    ("QoS 1, 1000 connections", ["--mode", "qos1", "--count", "1000"], {"messages": 200000}),
    ("echo, 100 connections", ["--mode", "echo", "--count", "100"], {"messages": 200000}),
    ("idle", ["--mode", "idle"], {"count": 5000}),
    ("quiet clients in a storm", ["--mode", "quiet", "--flight", "200"], {"count": 1000}),
    ("64 MiB in one PUBLISH", ["--mode", "large"], {}),
)

# measurement, result line, field, title of the row, more is better
CPU = "cpu_{server}_"
ROWS = (
    ("storm, TLS 1.3", "storm_full", "per_second", "full handshakes per second (TLS 1.3)", True),
    ("storm, TLS 1.3", "storm_full", "connect_p50_ms", "  connect to CONNACK, p50, ms", False),
    ("storm, TLS 1.3", "storm_full", "connect_p99_ms", "  connect to CONNACK, p99, ms", False),
    ("storm, TLS 1.3", "storm_full", CPU + "ms_each", "  CPU per connect, ms", False),
    ("storm, TLS 1.3", "storm_resumed", "per_second", "resumed per second (TLS 1.3)", True),
    ("storm, TLS 1.3", "storm_resumed", "connect_p99_ms", "  connect to CONNACK, p99, ms", False),
    ("storm, TLS 1.3", "storm_resumed", CPU + "ms_each", "  CPU per connect, ms", False),
    *(row for n in ("TLS 1.2", "TLS 1.2, no tickets")
      for row in (
          (f"storm, {n}", "storm_full", "per_second", f"full handshakes per second ({n})", True),
          (f"storm, {n}", "storm_full", CPU + "ms_each", "  CPU per connect, ms", False),
          (f"storm, {n}", "storm_resumed", "per_second", f"resumed per second ({n})", True),
          (f"storm, {n}", "storm_resumed", CPU + "ms_each", "  CPU per connect, ms", False))),
    *(row for n in ("1 connection", "100 connections", "1000 connections") for q in (0, 1)
      for row in (
          (f"QoS {q}, {n}", f"qos{q}", "per_second", f"QoS {q} messages per second, {n}", True),
          (f"QoS {q}, {n}", f"qos{q}", CPU + "s_per_million", "  CPU seconds per million", False))),
    ("echo, 100 connections", "echo", "per_second", "there and back per second, 100 connections",
     True),
    ("echo, 100 connections", "echo", CPU + "s_per_million", "  CPU seconds per million", False),
    ("idle", "idle", "kib_each_{server}", "KiB resident per idle connection", False),
    ("quiet clients in a storm", "quiet_before", "ping_p50_ms", "ping of a quiet client, p50, ms",
     False),
    ("quiet clients in a storm", "quiet_before", "ping_p99_ms", "  p99, ms", False),
    ("quiet clients in a storm", "quiet_during", "ping_p50_ms", "  in a storm: p50, ms", False),
    ("quiet clients in a storm", "quiet_during", "ping_p99_ms", "  in a storm: p99, ms", False),
    ("quiet clients in a storm", "quiet_during", "ping_max_ms", "  in a storm: max, ms", False),
    ("quiet clients in a storm", "quiet_storm", "per_second", "  the storm: connects per second",
     True),
    ("64 MiB in one PUBLISH", "large", "mib_per_second", "64 MiB in one PUBLISH, MiB per second",
     True),
    ("64 MiB in one PUBLISH", "large", CPU + "s", "  CPU seconds", False),
    ("64 MiB in one PUBLISH", "large", "grown_mib_{server}", "  process grown by, MiB", False),
)


def fail(text):
    sys.exit(f"run.py: {text}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def quietly(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if done.returncode != 0:
        fail(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


class Bench:
    """The temporary folder, the certificates in it, and the processes."""

    def __init__(self, options):
        self.build = os.path.abspath(options.build)
        self.mosquitto = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        self.home = tempfile.mkdtemp(prefix="gateway-bench-")
        self.processes = {}
        self.certificates = (200 if options.quick else 1000) // CLIENTS_PER_CERTIFICATE
        if self.mosquitto is None:
            fail("mosquitto is missing; install the packages listed in packages.txt")
        for program in ("gatewayd", "gatewayctl", "bench/load"):
            if not os.access(self.path(program), os.X_OK):
                fail(f"{self.path(program)} is missing; run: make gatewayd gatewayctl bench/load")

    def path(self, program):
        return os.path.join(self.build, program)

    def file(self, *name):
        return os.path.join(self.home, *name)

    def write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.file(name)

    # ---- certificates -----------------------------------------------------------------

    def gateway_conf(self, port):
        return self.write("gateway.conf", f"""
gateway = {{ state_directory = "{self.file("state")}";
            control_socket = "{self.file("control.sock")}"; }};
listeners = ( {{ address = "127.0.0.1"; port = {port}; }} );
upstream = {{ path = "{self.file("broker.sock")}"; client_id = "${{identity}}/${{client_id}}"; }};
limits = {{ connections = 20000; connections_per_address = 20000; }};
""")

    def make_certificates(self):
        conf = self.gateway_conf(8883)
        ctl = [self.path("gatewayctl"), "-c", conf]
        os.mkdir(self.file("certificates"))
        os.mkdir(self.file("state"), 0o700)
        quietly(*ctl, "init", "--force-names", "--name", "localhost")
        for i in range(self.certificates):
            target = self.file("certificates", f"dev-{i}")
            quietly(*ctl, "enroll", "--name", f"dev-{i}", "--key-out", target + ".key",
                    "--out", self.file(f"out-{i}"))
            os.rename(self.file(f"out-{i}", "device.crt"), target + ".crt")

    # ---- servers ----------------------------------------------------------------------

    def start(self, name, *command):
        log = open(self.file(name + ".log"), "ab")
        self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, cwd=self.home)
        log.close()

    def wait_for(self, name, family, address):
        end = time.monotonic() + 10
        while time.monotonic() < end and self.processes[name].poll() is None:
            with socket.socket(family) as s:
                try:
                    s.connect(address)
                    return
                except OSError:
                    time.sleep(0.02)
        with open(self.file(name + ".log"), encoding="utf-8", errors="replace") as log:
            fail(f"{name} does not come up:\n{log.read()[-4000:]}")

    def start_mosquitto(self, port):
        pki = self.file("state", "pki")
        conf = self.write("mosquitto.conf", f"""
user {"root" if os.geteuid() == 0 else "mosquitto"}
set_tcp_nodelay true
log_dest file {self.file("mosquitto-own.log")}
listener {port} 127.0.0.1
cafile {pki}/ca.crt
certfile {pki}/gateway.crt
keyfile {pki}/gateway.key
require_certificate true
use_identity_as_username true
""")
        self.start("mosquitto", self.mosquitto, "-c", conf)
        self.wait_for("mosquitto", socket.AF_INET, ("127.0.0.1", port))

    def start_gatewayd(self, port):
        conf = self.write("broker.conf", f"""
user {"root" if os.geteuid() == 0 else "mosquitto"}
log_dest file {self.file("broker-own.log")}
listener 0 {self.file("broker.sock")}
allow_anonymous true
""")
        self.start("broker", self.mosquitto, "-c", conf)
        self.wait_for("broker", socket.AF_UNIX, self.file("broker.sock"))
        self.start("gatewayd", self.path("gatewayd"), "-c", self.gateway_conf(port))
        self.wait_for("gatewayd", socket.AF_INET, ("127.0.0.1", port))

    def stop_all(self):
        for name in reversed(list(self.processes)):
            process = self.processes.pop(name)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                fail(f"{name} did not stop within 10 s of SIGTERM")

    def measure(self, server, arguments):
        """Fresh servers, one run of load; result lines by their name."""
        port = free_port()
        getattr(self, "start_" + server)(port)
        time.sleep(0.3)
        pids = [a for name, p in self.processes.items() for a in ("--server", f"{name}={p.pid}")]
        try:
            # It gives up by itself after two minutes, with a sentence.
            done = subprocess.run([self.path("bench/load"), "--port", str(port), "--certificates",
                                   self.file("certificates"), *pids, *arguments],
                                  stdout=subprocess.PIPE, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            fail(f"load {' '.join(arguments)} against {server} does not end; "
                 f"logs are in {self.home}")
        if done.returncode != 0:
            fail(f"load {' '.join(arguments)} against {server} failed; logs are in {self.home}")
        self.stop_all()
        return {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}

    def close(self, keep):
        self.stop_all()
        if not keep:
            shutil.rmtree(self.home)


# ---- results ---------------------------------------------------------------------------

def machine(bench):
    cpu = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    mosquitto = subprocess.run([bench.mosquitto, "-h"], stdout=subprocess.PIPE, text=True)
    return "\n".join((
        f"machine    {os.cpu_count()} cores, {cpu}, {memory} GiB, Linux {platform.release()}",
        f"gatewayd   {quietly(bench.path('gatewayd'), '--version').splitlines()[0]}",
        f"mosquitto  {mosquitto.stdout.splitlines()[0]}",
        f"OpenSSL    {quietly('openssl', 'version').split('(')[0].strip()}"))


def value_of(results, server, row):
    """The median over the runs, and the broker's share of CPU, if any."""
    measurement, what, field = row[:3]
    runs = results.get((measurement, server), [])
    values = [run[what].get(field.format(server=server)) for run in runs if what in run]
    broker = [run[what].get(field.format(server="broker")) for run in runs if what in run]
    if not values or None in values:
        return None, None
    extra = statistics.median(broker) if "{server}" in field and None not in broker else None
    return statistics.median(values), extra


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(results):
    lines = [f"{'':50}{'mosquitto':>12}{'gatewayd':>12}{'+ broker':>12}"]
    for row in ROWS:
        own, _ = value_of(results, "mosquitto", row)
        ours, broker = value_of(results, "gatewayd", row)
        if own is None and ours is None:
            continue
        line = (f"{row[3]:50}{number(own):>12}{number(ours):>12}"
                f"{number(broker) if broker is not None else '':>12}")
        lines.append(line.rstrip())
    return "\n".join(lines)


def arguments_of(fixed, sizes, quick):
    out = list(fixed)
    for name, value in sizes.items():
        out += ["--" + name, str(max(value // 5, 1) if quick else value)]
    return out


def run_all(bench, options):
    results = {}
    chosen = [m for m in MEASUREMENTS if not options.only or
              any(word in m[0] for word in options.only)]
    if not chosen:
        fail("--only matches nothing; the names are: " + "; ".join(m[0] for m in MEASUREMENTS))
    for run in range(options.runs):
        for name, fixed, sizes in chosen:
            for server in options.server or SERVERS:
                print(f"run {run + 1} of {options.runs}: {server}: {name}", file=sys.stderr)
                result = bench.measure(server, arguments_of(fixed, sizes, options.quick))
                results.setdefault((name, server), []).append(result)
                if options.verbose:
                    print(json.dumps(result), file=sys.stderr)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=".", help="the build folder (default: this one)")
    parser.add_argument("--runs", type=int, help="how often; the table shows medians (3)")
    parser.add_argument("--quick", action="store_true", help="one run of a fifth of the load")
    parser.add_argument("--only", action="append", help="measurements with this in their name")
    parser.add_argument("--server", action="append", choices=SERVERS, help="only this server")
    parser.add_argument("--save", metavar="FOLDER", help="write FOLDER/DATE.txt too")
    parser.add_argument("--verbose", action="store_true", help="show each result")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options)
    try:
        bench.make_certificates()
        text = f"{machine(bench)}\nmedians of {options.runs}\n\n"
        text += table(run_all(bench, options))
    except SystemExit:
        options.keep = True
        raise
    finally:
        bench.close(options.keep)
    print(text)
    if options.save:
        os.makedirs(options.save, exist_ok=True)
        name = datetime.date.today().isoformat() + ".txt"
        with open(os.path.join(options.save, name), "w", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
