# SPDX-License-Identifier: BSD-2-Clause
"""The fail2ban filter against lines that gatewayd writes, also about names that lie."""
import configparser
import os
import re
import shutil
import ssl
import subprocess

import pytest

from lib import certs
from lib.wait import until

FILTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "conf", "fail2ban",
                      "filter.d", "mkr-gateway.conf")
LIAR = "198.51.100.9"
NAMES = (
    "stranger",
    "x address=%s reason=y" % LIAR,
    'x" address=%s reason="y' % LIAR,
    "x\\\" address=%s reason=\\\"" % LIAR,
    "no\u00a0break\u2003space",
    "x device=y address=%s" % LIAR,
)


def failregex():
    parser = configparser.RawConfigParser()
    with open(FILTER) as f:
        parser.read_file(f)
    return parser["Definition"]["failregex"]


def banned(line):
    """The address that Python's re finds, as fail2ban would after taking the date away."""
    found = re.search(failregex().replace("<ADDR>", r"(?P<ip>[0-9a-fA-F:.]+)"), line)
    return found and found.group("ip")


@pytest.fixture(scope="module")
def refusals(module_gateway):
    """What gatewayd wrote about devices that it does not know, one line each."""
    gw = module_gateway()
    authority = certs.Authority.load(os.path.join(gw.state, "pki"))
    for i, name in enumerate(NAMES):
        device = authority.issue(gw.folder, "liar%d" % i, name)
        with pytest.raises((OSError, ssl.SSLError, AssertionError)):
            gw.client(device)
        until(lambda: gw.text().count("device refused") > i, "the refusal in the log")
    return [line for line in gw.text().splitlines() if "device refused" in line]


def test_real_lines_name_the_real_address(refusals):
    assert len(refusals) == len(NAMES)
    for line in refusals:
        date, message = line.split(" ", 1)
        assert re.fullmatch(r"[-0-9]+T[:0-9]+Z", date)
        for form in (" " + message, message, "host gatewayd[812]: " + message):
            assert banned(form) == "127.0.0.1", form


def test_reason_can_not_inject():
    start = "warning session: device refused cause=x device=a address=192.0.2.1 reason="
    lie = 'warning session: device refused cause=x device=a address=%s reason=x' % LIAR
    assert banned(start + '"%s"' % lie) == "192.0.2.1"
    assert banned('info session: device connected device="%s" address=192.0.2.1' % lie) is None
    assert banned('warning session: device refused cause=x device="%s" address=192.0.2.1 reason=x'
                  % lie) == "192.0.2.1"
    assert banned("host other[1]: " + lie) is None
    assert banned("warning session: more devices were refused count=5") is None
    assert banned("warning session: device refused cause=x device=a address=2001:db8::7 reason=x") \
        == "2001:db8::7"


# Where the program itself is there, it must agree. It is not asked for in packages.txt:
# installing it would start a firewall service.
if shutil.which("fail2ban-regex"):
    def test_fail2ban_agrees(refusals, tmp_path):
        log = tmp_path / "log"
        log.write_text("\n".join(refusals) + "\n")
        said = subprocess.run(["fail2ban-regex", "-o", "ip", str(log), FILTER], capture_output=True,
                              text=True, check=True).stdout.split()
        assert said == ["127.0.0.1"] * len(NAMES)
