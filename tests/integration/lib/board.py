# SPDX-License-Identifier: BSD-2-Clause
"""
A board: the image that is flashed, in the emulator, against a real gateway.
EMULATOR and FIRMWARE_IMAGE name the two; the .elf lies beside the image.
"""
import os
import re
import shutil
import signal
import struct
import subprocess
import zlib

import pytest

from lib import process
from lib.gateway import SANITIZED, SANITIZER_ENV
from lib.wait import PATIENCE, until

EMULATOR = os.environ.get("EMULATOR", "mkr1000-emulator")
IMAGE = os.environ.get("FIRMWARE_IMAGE", "firmware-minimal/build/firmware-minimal.bin")
ELF = os.path.splitext(IMAGE)[0] + ".elf"

FLASH, SETTINGS, REPORT, BLOCK = 262144, 0x3E000, 0x3F000, 4096
SSID, PASSPHRASE, HOST = "home", "correct horse battery", "localhost"
STATE = 66  # the record with the report code
CONNECTED = "connected to the gateway"
WAITS = "-----END CERTIFICATE REQUEST-----"
# Of the wall clock, for one step of a board: handshakes are computed, not slept.
STEP = 4 * PATIENCE

needs_board = [
    pytest.mark.skipif(not os.access(EMULATOR, os.X_OK),
                       reason="%s was not built: Unicorn is missing" % EMULATOR),
    pytest.mark.skipif(not os.path.exists(IMAGE),
                       reason="%s was not built: the cross compiler is missing" % IMAGE),
    pytest.mark.timeout(20 * STEP),
]


# Values that say more than 1 does, for the faults that take one.
FAULT_VALUES = {
    "winc.idle": 3, "winc.idle-token": 3, "winc.state": 5, "winc.firmware-slow": 800,
    "winc.grant-slow": 50, "winc.recv-size": 7, "winc.time-late": 4000, "atecc.busy": 30,
    "atecc.wake-late": 4000, "atecc.wake-status": 7, "atecc.slow": 140, "atecc.status": 3,
    "atecc.short": 3, "atecc.tail": 2, "atecc.signature": 2,
}


def fault_word(name):
    return "%s=%d" % (name, FAULT_VALUES[name]) if name in FAULT_VALUES else name


def faults():
    """The names that --fault knows, but those that are a HardFault: test_firmware_crash.py."""
    if not os.access(EMULATOR, os.X_OK):
        return []
    told = subprocess.run([EMULATOR, "--fault", "help"], capture_output=True, text=True,
                          check=True, env=dict(os.environ, **SANITIZER_ENV)).stdout
    names = [line.split()[0] for line in told.splitlines()]
    return [name for name in names if not name.startswith("cpu.")]


def faults_to_try():
    """All of them; with a sanitizer, which takes many times as long, some: the plain build tries all."""
    return faults()[::20 if SANITIZED else 1]


class Board:
    """
    options: more words for the emulator; name: identity at the gateway, and what
    the chip's serial number and key are made from.
    """

    def __init__(self, gateway, folder, name, *options):
        self.gateway, self.folder, self.name = gateway, str(folder), name
        self.options = list(options)
        self.flash, self.chip = self.path("flash"), self.path("atecc")
        self.log, self.log_start = self.path("log"), 0
        self.secret = self.path("wifi")
        self.passphrase = PASSPHRASE
        self.process = None
        with open(os.open(self.secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(PASSPHRASE + "\n")

    def path(self, kind):
        return os.path.join(self.folder, "%s.%s" % (self.name, kind))

    # ---- the page files ----------------------------------------------------------

    def page(self, offset):
        with open(self.flash, "rb") as f:
            f.seek(offset)
            return f.read(BLOCK)

    def put(self, offset, content):
        with open(self.flash, "r+b") as f:
            f.seek(offset)
            f.write(content)

    def reported(self):
        """The code in the report page; None: there is no page."""
        found = records(self.page(REPORT), b"MKRGWREP")
        return found[STATE][0] if found else None

    # ---- the emulator ------------------------------------------------------------

    def argv(self, *options, faults=(), seconds=None):
        argv = [EMULATOR, "--image", IMAGE, "--elf", ELF, "--flash", self.flash, "--chip", self.chip,
                "--name", self.name, "--seed", str(zlib.crc32(self.name.encode())),
                "--speed", "fast", "--wifi-ssid", SSID,
                "--wifi-pass", self.passphrase]
        if self.gateway is not None and self.gateway.port:
            argv += ["--resolve", "%s=192.0.2.1:%d" % (HOST, self.gateway.port)]
        if seconds is not None:
            argv += ["--for", str(seconds)]
        for fault in faults:
            argv += ["--fault", fault]
        return argv + self.options + list(options)

    def start(self, *options, **kw):
        """Power on; what `lines` and `wait` see begins here."""
        assert self.process is None
        self.log_start = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.process = process.Process(self.name, self.argv(*options, **kw), self.log,
                                       env=SANITIZER_ENV)
        return self

    def text(self):
        with open(self.log, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode(errors="replace")

    def lines(self):
        return self.text().splitlines()

    def find(self, pattern):
        """The last line that matches."""
        return next((line for line in reversed(self.lines()) if re.search(pattern, line)), None)

    def codes(self):
        """What it reported, in order; 0 is "connected"."""
        return [int(n) for n in re.findall(r"^ *\d+\.\d+ report (\d+):", self.text(), re.M)]

    def wait(self, pattern, seconds=STEP, count=1):
        """Until so many lines match; the last of them."""
        def look():
            found = [line for line in self.lines() if re.search(pattern, line)]
            if len(found) >= count:
                return found[-1]
            assert self.process is None or self.process.running(), \
                "the board ended before it said %r:\n%s" % (pattern, self.text()[-4000:])
            return None
        try:
            return until(look, "the board to say %r" % pattern, seconds)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, self.text()[-4000:])) from None

    def cut_power(self, after=0):
        """In the middle of whatever it does then."""
        child, self.process = self.process, None
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            pass
        child.kill()

    def ended(self, status=0, seconds=2 * STEP):
        """It ends by itself, because it was told when."""
        child, self.process = self.process, None
        try:
            found = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise AssertionError("the emulator did not end:\n" + self.text()[-4000:]) from None
        self._check(child, found, status)

    def stop(self, status=0):
        if self.process is None:
            return
        child, self.process = self.process, None
        self._check(child, child.stop(signal.SIGTERM, STEP), status)

    def _check(self, child, found, status):
        report = child.sanitizer_report()
        assert report is None, "a sanitizer report of the emulator:\n" + report
        assert found == status, "the emulator ended with %d:\n%s" % (found, self.text()[-6000:])
        assert not re.search(r"\b[1-9]\d* by the watchdog", self.text()), self.text()[-3000:]

    def abandon(self):
        if self.process is not None:
            self.cut_power()

    # ---- steps that most tests begin with ------------------------------------------

    def run_until(self, pattern, *options, **kw):
        self.start(*options, **kw)
        line = self.wait(pattern)
        self.stop()
        return line

    def provision(self, *options, status=0, output="json", wifi=True, **kw):
        words = ["--wifi-ssid", SSID, "--wifi-pass-file", self.secret] if wifi else []
        return self.gateway.ctl("provision", "--image", self.flash, *words, "--host", HOST,
                                "--gateway-port", str(self.gateway.port), "--name", self.name,
                                *options, status=status, output=output if status == 0 else None,
                                **kw)

    def copy_of(self, other):
        """Become the same board, switched off: its flash and its chip."""
        for kind in ("flash", "atecc"):
            shutil.copyfile(other.path(kind), self.path(kind))
        return self

    def provisioned(self, *options):
        """From a board as flashed to one with settings."""
        self.run_until(WAITS)
        self.provision(*options)
        return self


def records(block, magic):
    """The records of a page, by type; None when it is not valid."""
    if block[:8] != magic:
        return None
    size = struct.unpack_from("<H", block, 10)[0]
    if 20 + size > len(block) or \
            zlib.crc32(block[:16 + size]) != struct.unpack_from("<I", block, 16 + size)[0]:
        return None
    found, at = {}, 16
    while at < 16 + size:
        kind, _, length = struct.unpack_from("<BBH", block, at)
        found[kind] = block[at + 4:at + 4 + length]
        at += 4 + length
    return found


def edit_settings(board, changes):
    """The settings page with records replaced, or removed by None; its sums put right."""
    block = board.page(SETTINGS)
    found = records(block, b"MKRGWSET")
    found.update(changes)
    body = b"".join(struct.pack("<BBH", k, 0, len(v)) + v for k, v in found.items() if v is not None)
    page = block[:10] + struct.pack("<H", len(body)) + block[12:16] + body
    board.put(SETTINGS, (page + struct.pack("<I", zlib.crc32(page))).ljust(BLOCK, b"\xff"))
