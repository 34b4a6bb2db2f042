#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measure gatewayd while its broker is away, and when it comes back, on loopback.

Starts private servers in a temporary folder, fresh ones for every measurement,
as run.py does, and prints one list. The folder (TMPDIR) must be on the disk
that counts: storing is synchronised.
"""

import argparse
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time

import run

STORED = 50000  # messages, from 100 devices
HELD = 1000     # devices that wait for the broker to return
EACH = 5        # messages that each of them stores meanwhile
IDLE = 10000    # devices whose memory is measured


class Bench(run.Bench):
    def gateway_conf(self, port):
        return self.write("gateway.conf", f"""
gateway = {{ name = "bench"; state_directory = "{self.file("state")}";
            control_socket = "{self.file("control.sock")}"; }};
listeners = ( {{ address = "127.0.0.1"; port = {port}; }} );
upstream = {{ path = "{self.file("broker.sock")}"; client_id = "${{identity}}/${{client_id}}";
             response_timeout = "{getattr(self, "response_timeout", 10)}s"; }};
limits = {{ connections = 20000; connections_per_address = 20000; }};
spool = {{ size = "100GiB"; }};
maps = ( {{ name = "bench";
           publish = ( {{ device = "#"; broker = "dev/${{identity}}/#"; }} );
           subscribe = ( {{ device = "#"; broker = "dev/${{identity}}/#"; }} );
           outage = {{ store_bytes = "0"; store_messages = 0; }}; }} );
""")

    def start_broker(self):
        conf = self.write("broker.conf", f"""
user {"root" if os.geteuid() == 0 else "mosquitto"}
log_dest file {self.file("broker-own.log")}
listener 0 {self.file("broker.sock")}
allow_anonymous true
""")
        self.start("broker", self.mosquitto, "-c", conf)
        self.wait_for("broker", socket.AF_UNIX, self.file("broker.sock"))

    def stop_broker(self):
        broker = self.processes.pop("broker")
        broker.terminate()
        broker.wait(10)

    def begin(self, broker=True, response_timeout=10):
        """Fresh servers with an empty spool."""
        self.stop_all()
        for end in ("", "-wal", "-shm"):
            if os.path.exists(self.file("state", "spool.db" + end)):
                os.unlink(self.file("state", "spool.db" + end))
        self.response_timeout = response_timeout
        self.port = run.free_port()
        if broker:
            self.start_broker()
        self.start("gatewayd", self.path("gatewayd"), "-c", self.gateway_conf(self.port))
        self.wait_for("gatewayd", socket.AF_INET, ("127.0.0.1", self.port))

    def load(self, what, *arguments):
        pid = self.processes["gatewayd"].pid
        done = subprocess.run([
            self.path("bench/load"), "--port", str(self.port), "--certificates",
            self.file("certificates"), "--server", f"gatewayd={pid}", *arguments],
            stdout=subprocess.PIPE, text=True, timeout=600)
        if done.returncode != 0:
            run.fail(f"load {' '.join(arguments)} failed; logs are in {self.home}")
        return {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}[what]

    def ctl(self, *words):
        return json.loads(run.quietly(self.path("gatewayctl"), "-c", self.file("gateway.conf"),
                                      "-o", "json", *words))

    def metric(self, name):
        return self.ctl("status")["metrics"][name]

    def await_metric(self, name, value):
        end = time.monotonic() + 120
        while self.metric(name) != value:
            if time.monotonic() > end:
                run.fail(f"{name} is {self.metric(name)}, not {value}; logs are in {self.home}")
            time.sleep(0.02)


# ---- devices ------------------------------------------------------------------------------

def text(s):
    return len(s).to_bytes(2, "big") + s.encode()


def packet(first, body):
    assert len(body) < 128
    return bytes((first, len(body))) + body


class Device:
    """MQTT 3.1.1 over TLS, as PubSubClient does it: a clean session with one subscription."""

    def __init__(self, bench, number):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        cert = bench.file("certificates", f"dev-{number % bench.certificates}")
        context.load_cert_chain(cert + ".crt", cert + ".key")
        self.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", bench.port), 60))
        self.send(packet(0x10, text("MQTT") + bytes((4, 2, 0, 0)) + text(str(number))))
        self.expect(b"\x20\x02\0\0")
        self.send(packet(0x82, b"\0\1" + text("command") + b"\0"))
        self.expect(b"\x90\x03\0\1\0")

    def send(self, data):
        self.sock.sendall(data)

    def expect(self, wanted):
        got = b""
        while len(got) < len(wanted):
            chunk = self.sock.recv(len(wanted) - len(got))
            if not chunk:
                run.fail("the gateway closed a connection")
            got += chunk
        if got != wanted:
            run.fail(f"wanted {wanted!r}, got {got!r}")

    def publish(self, mid):
        self.send(packet(0x32, text("telemetry") + mid.to_bytes(2, "big") + b"x" * 64))

    def acknowledged(self, mid):
        self.expect(b"\x40\x02" + mid.to_bytes(2, "big"))


# ---- measurements ------------------------------------------------------------------------------

def store_and_drain(bench, scale):
    for window in (1, 20):
        bench.begin(broker=False)
        count = STORED // scale
        got = bench.load("qos1", "--mode", "qos1", "--count", "100", "--messages", str(count),
                         "--window", str(window))
        stored = bench.ctl("spool")["messages"]
        yield f"stored per second, 100 devices, {window} unacknowledged each", got["per_second"]
        if window == 1:
            continue
        bench.start_broker()
        begun = time.monotonic()
        while bench.ctl("spool")["messages"] > 0:
            time.sleep(0.02)
        taken = time.monotonic() - begun
        yield "drained per second, from the start of the broker", stored / taken


def memory(bench, scale):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    held = min(IDLE // scale, most - 500)
    live = min(IDLE // scale, most // 2 - 500)  # two descriptors each
    for name, count, broker in (("live", live, True), ("held", held, False)):
        bench.begin(broker=broker)
        got = bench.load("idle", "--mode", "idle", "--count", str(count))
        yield f"KiB resident per {name} device, {count} of them", got["kib_each_gatewayd"]


def come_back(bench, scale):
    count = HELD // scale
    for each in (0, EACH):
        bench.begin()
        devices = [Device(bench, i) for i in range(count)]
        begun = time.monotonic()
        bench.stop_broker()
        bench.await_metric("sessions_held", count)
        if each == 0:
            yield f"seconds from SIGTERM of the broker to {count} held", time.monotonic() - begun
        for mid in range(1, each + 1):
            for d in devices:
                d.publish(mid)
            for d in devices:
                d.acknowledged(mid)
        bench.start_broker()
        begun = time.monotonic()
        bench.await_metric("sessions_held", 0)
        taken = time.monotonic() - begun
        if bench.metric("outage_restored") != count:
            run.fail("not all are live")
        yield f"seconds from its return to {count} live, {each} messages stored by each", taken


def notice(bench, scale):
    for seconds in (2, 10):
        bench.begin(response_timeout=seconds)
        device = Device(bench, 0)
        broker = bench.processes["broker"]
        broker.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        device.publish(1)
        device.acknowledged(1)
        taken = time.monotonic() - begun
        broker.send_signal(signal.SIGCONT)
        yield f"seconds from freezing to PUBACK of the store, response_timeout {seconds} s", taken


MEASUREMENTS = (store_and_drain, memory, come_back, notice)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=".", help="the build folder (default: this one)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    parser.add_argument("--only", action="append", help="measurements with this in their name")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bench = Bench(options)
    try:
        bench.make_certificates()
        print(run.machine(bench))
        print("load       %s\n" % " ".join("%.1f" % n for n in os.getloadavg()))
        for measurement in MEASUREMENTS:
            if options.only and not any(word in measurement.__name__ for word in options.only):
                continue
            for name, value in measurement(bench, 10 if options.quick else 1):
                print(f"{name:64}{run.number(value):>10}", flush=True)
    except SystemExit:
        options.keep = True
        raise
    finally:
        bench.close(options.keep)


if __name__ == "__main__":
    main()
