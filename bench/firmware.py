#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the image for the MKR1000 needs: memory, cycles, chip, bytes on the wire.

Runs the image that is flashed in the emulator, with a real gatewayd and
Mosquitto on free ports and a new board for each measurement, and prints one
report. Run it in the build folder, or name that with --build. Nothing is left
behind. Times are those of the emulator's models; bench/README.md says what
these are.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import run

ANCHORS = {  # facts on BearSSL 0.6 for such a processor, without wait states: CPU cycles
    "software": 40_667_031, "chip": 3_208_940, "resumed": 1_224_533}
TITLES = {"software": "full, ECDH in software", "chip": "full, ECDH in the chip",
          "resumed": "resumed"}
SSID, PASSPHRASE, HOST = "home", "correct horse battery", "localhost"
STACK_TOP = 0x20007FF8
HERTZ = 48e6
TLS = 5  # the phase of the handshake
MAPS = """
maps = ( { name = "boards";
           publish = ( { device = "Home"; broker = "home/${identity}/telemetry"; } );
           subscribe = ( { device = "inTopic"; broker = "home/${identity}/command"; } ); } );
"""

# What a handshake's cycles go into: title, functions with all that they call.
CHIP = (("Verify", "atecc_verify"), ("Sign", "atecc_sign"), ("GenKey", "atecc_generate_key"),
        ("ECDH", "atecc_ecdh"), ("Random", "atecc_random"))
PARTS = (("ATECC", ("atecc_operate",)),
         ("P-256 in software", ("api_mul", "api_mulgen")),
         ("SHA-256", ("br_sha2small_round",)),
         ("ChaCha20-Poly1305", ("br_chacha20_ct_run", "br_poly1305_ctmul32_run")),
         ("WiFi module", ("winc_poll", "winc_send", "winc_recv", "winc_link")),
         ("log, 115200 baud", ("log_line",)))
# What the anchors do not hold.
AROUND = ("atecc_operate", "winc_poll", "winc_send", "winc_recv", "winc_link", "log_line")


class Rig(run.Bench):
    """run.Bench for boards: its folder, its servers, its end."""

    def __init__(self, options):  # pylint: disable=super-init-not-called
        self.build = os.path.abspath(options.build)
        self.image = os.path.abspath(options.image or
                                     self.path("firmware-minimal/build/firmware-minimal.bin"))
        self.elf = os.path.splitext(self.image)[0] + ".elf"
        self.mosquitto = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        self.processes = {}
        if self.mosquitto is None:
            run.fail("mosquitto is missing; install the packages listed in packages.txt")
        for name in (self.path("gatewayd"), self.path("gatewayctl"),
                     self.path("mkr1000-emulator"), self.image, self.elf):
            if not os.path.exists(name):
                run.fail(f"{name} is missing; run: make, with an ARM compiler and Unicorn")
        self.home = tempfile.mkdtemp(prefix="gateway-bench-")

    def gateway_conf(self, port):
        name = run.Bench.gateway_conf(self, port)
        with open(name, "a", encoding="utf-8") as file:
            file.write(MAPS)
        return name

    def gatewayctl(self, *words):
        return run.quietly(self.path("gatewayctl"), "-c", self.file("gateway.conf"), *words)

    def start_gateway(self):
        self.port = run.free_port()
        self.gateway_conf(self.port)
        os.mkdir(self.file("state"), 0o700)
        self.gatewayctl("init", "--force-names", "--name", HOST)
        with open(os.open(self.file("wifi"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(PASSPHRASE + "\n")
        self.start_gatewayd(self.port)

    def emulate(self, board, until, *words):
        """Until the board says so; all that it and the emulator said."""
        command = [self.path("mkr1000-emulator"), "--image", self.image, "--elf", self.elf,
                   "--flash", self.file(board + ".flash"), "--chip", self.file(board + ".atecc"),
                   "--name", board, "--wifi-ssid", SSID, "--wifi-pass", PASSPHRASE, "--resolve",
                   f"{HOST}=192.0.2.1:{self.port}", "--speed", "fast", "--for", "120",
                   "--phase-log", "--until", until, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=600)
        if done.returncode != 0:
            run.fail(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}")
        return done.stdout

    def provisioned(self, board, ecdh):
        said = self.emulate(board, "-----END CERTIFICATE REQUEST-----")
        self.gatewayctl("provision", "--image", self.file(board + ".flash"), "--wifi-ssid", SSID,
                        "--wifi-pass-file", self.file("wifi"), "--host", HOST, "--gateway-port",
                        str(self.port), "--name", board, "--ecdh", ecdh)
        return said


# ---- what the emulator said -------------------------------------------------------------

PHASE = re.compile(r"^\[ *([\d.]+)\] phase (\d+) (\S+) +(\d+) cycles, +(\d+) of them asleep "
                   r"+([\d.]+) ms", re.M)
OPEN = re.compile(r"TLS open after (\d+) ms, (\w+), (\d+) bytes up, (\d+) down")
ENDED = re.compile(r"^\[ *([\d.]+)\] \d+ cycles", re.M)
LOWEST = re.compile(r"lowest SP 0x([0-9A-F]+)")


def visits(text):
    """Each phase as it ended: (name, cycles, asleep, ms); the sums at the end are left out."""
    found = PHASE.findall(text[:text.index("lowest SP")])
    return [(name, int(cycles), int(asleep), float(ms))
            for _, _, name, cycles, asleep, ms in found]


def profile(path):
    """Of the handshake: {function: (calls, own, with what it calls, of it asleep)}."""
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    found = {}
    for phase, name, *counts in rows:
        if int(phase) == TLS:
            old = found.get(name, (0, 0, 0, 0))
            found[name] = tuple(a + int(b) for a, b in zip(old, counts))
    return found


# ---- the measurements -------------------------------------------------------------------

class Handshake:
    """A visit of phase tls, the line about it in the log, and the profile if there is one."""

    def __init__(self, text, kind, functions=None):
        self.told = [line for line in OPEN.findall(text) if line[1] == kind][-1]
        tls = [visit for visit in visits(text) if visit[0] == "tls"]
        self.visit = tls[-1]
        self.functions = functions or {}

    @property
    def awake(self):
        return self.visit[1] - self.visit[2]

    def part(self, names):
        """Cycles awake, and milliseconds, in these functions and what they call."""
        counts = [self.functions[name] for name in names if name in self.functions]
        return sum(c[2] - c[3] for c in counts), sum(c[2] for c in counts) / HERTZ * 1e3


def measure_full(rig, ecdh):
    """Twice: the profile slows the emulator down, and with it waits for the real network."""
    board = "board-" + ecdh
    texts = [rig.provisioned(board, ecdh), rig.emulate(board, '"RN":1,')]
    table = rig.file(board + ".profile")
    texts.append(rig.emulate(board, '"RN":1,', "--profile", table))
    return {"texts": texts, "first": float(ENDED.search(texts[1]).group(1)),
            "plain": Handshake(texts[1], "full"),
            "profiled": Handshake(texts[2], "full", profile(table))}


def measure_resumed(rig, board, full):
    """
    The link is lost after some readings; by the sixth one the board has come
    back. The first handshake of such a run is a full one: its part of the
    profile is known.
    """
    words = board, '"RN":6,', "--fault", "winc.drop:1@20000"
    table = rig.file(board + ".profile")
    texts = [rig.emulate(*words), rig.emulate(*words, "--profile", table)]
    nothing = (0, 0, 0, 0)
    functions = {name: tuple(a - b for a, b in zip(counts, full.functions.get(name, nothing)))
                 for name, counts in profile(table).items()}
    return {"texts": texts, "plain": Handshake(texts[0], "resumed"),
            "profiled": Handshake(texts[1], "resumed", functions)}


# ---- the report -------------------------------------------------------------------------

def memory(rig, results):
    with open(os.path.join(os.path.dirname(rig.image), "figures.txt"), encoding="utf-8") as file:
        built = file.read().rstrip()
    lowest = min(int(sp, 16) for r in results.values() for text in r["texts"]
                 for sp in LOWEST.findall(text))
    return f"{built}\nstack  {STACK_TOP - lowest} bytes were the most in these runs"


def boot(result):
    lines = [f"cold boot to the first reading sent (full handshake): {result['first']:.2f} s"]
    for name, cycles, asleep, ms in visits(result["texts"][1]):
        lines.append(f"  {name:10}{ms:9.1f} ms{(cycles - asleep) / 1e6:9.2f} M cycles awake")
    return "\n".join(lines)


def handshakes(results):
    lines = [f"{'handshake':24}{'ms':>6}{'cycles':>13}{'awake':>13}{'BearSSL':>13}"
             f"{'facts':>13}{'up':>7}{'down':>7}"]
    for name, result in results.items():
        h, around = result["plain"], result["profiled"].part(AROUND)[0]
        lines.append(f"{TITLES[name]:24}{h.visit[3]:6.0f}{h.visit[1]:13,}{h.awake:13,}"
                     f"{h.awake - around:13,}{ANCHORS[name]:13,}{h.told[2]:>7}{h.told[3]:>7}")
    return "\n".join(lines)


def parts(result):
    h = result["profiled"]
    lines, left, chip_ms = [], h.visit[1] - h.visit[2], h.part(["atecc_operate"])[1]
    for title, names in PARTS:
        awake, ms = h.part(names)
        left -= awake
        if abs(awake) < 1000:
            continue  # not there, or what differs between two runs
        lines.append(f"  {title:24}{awake:13,} cycles awake{ms:9.1f} ms")
    lines.append(f"  {'everything else':24}{left:13,} cycles awake{left / HERTZ * 1e3:9.1f} ms")
    for title, name in CHIP:
        if h.functions.get(name, (0,))[0] > 0:
            calls, _, with_called, _ = h.functions[name]
            lines.append(f"  the ATECC's {title:12}{calls:4} times, {with_called / HERTZ * 1e3:7.1f} ms")
    if chip_ms >= 1:
        lines.append(f"  the ATECC's share of the time: {100 * chip_ms / h.visit[3]:.0f} %")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=".", help="the build folder (default: this one)")
    parser.add_argument("--image", metavar="FILE.bin", help="another image than the build's")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rig = Rig(options)
    try:
        rig.start_gateway()
        results = {"software": measure_full(rig, "software"), "chip": measure_full(rig, "chip")}
        results["resumed"] = measure_resumed(rig, "board-software",
                                             results["software"]["profiled"])
    except BaseException:
        options.keep = True
        raise
    finally:
        rig.close(options.keep)
    print(memory(rig, results), boot(results["software"]), handshakes(results), sep="\n\n")
    for name in results:
        print(f"\n{TITLES[name]}\n{parts(results[name])}")


if __name__ == "__main__":
    main()
