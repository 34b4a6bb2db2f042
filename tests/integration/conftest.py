# SPDX-License-Identifier: BSD-2-Clause
"""
Fixtures: a Mosquitto and a gatewayd of its own for each test or test file.

    gateway        factory: gateway(conf={...}, broker={...}) for one test
    shared         one gateway with the usual maps for all tests of a file
    boards         factory: emulated boards of the shared gateway
    pki            a state folder made by `gatewayctl init`, once

GATEWAYD, GATEWAYCTL and MOSQUITTO name the programs; INTEGRATION_PATIENCE
multiplies every deadline.
"""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import broker, config  # noqa: E402
from lib.board import Board  # noqa: E402
from lib.gateway import Gateway, run_ctl  # noqa: E402

LIVE = []  # gateways whose logs a failure shows


def pytest_configure(config):
    if broker.MOSQUITTO is None:
        pytest.exit("mosquitto is missing", returncode=77)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for one in LIVE:
            report.sections.extend(one.logs())


@pytest.fixture(scope="session")
def pki():
    """The state folder of a gateway called localhost."""
    folder = tempfile.mkdtemp(prefix="gw-pki-")
    state, conf = os.path.join(folder, "state"), os.path.join(folder, "gateway.conf")
    with open(conf, "w") as f:
        f.write(config.settings({"gateway": {
            "state_directory": state, "control_socket": os.path.join(folder, "control.sock")}}))
    run_ctl(conf, "init", "--force-names", "--name", "localhost", "--name", "127.0.0.1")
    yield state
    shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    """The score of test_diagnosis.py."""
    found = [dict(r.user_properties) for r in terminalreporter.stats.get("passed", [])]
    causes = {p["diagnosed"]: p["causes"] for p in found if "diagnosed" in p}
    for total in set(causes.values()):
        terminalreporter.write_line("diagnosed %d of %d causes" % (len(causes), total))


def _factory(pki):
    made = []

    def make(**kw):
        one = Gateway(kw.pop("pki", pki), **kw)
        made.append(one)
        LIVE.append(one)
        return one

    yield make
    failures = []
    for one in made:
        try:
            one.close()
        except AssertionError as e:
            failures.append(str(e))
        LIVE.remove(one)
    assert not failures, "\n".join(failures)


@pytest.fixture
def gateway(pki):
    yield from _factory(pki)


@pytest.fixture(scope="module")
def module_gateway(pki):
    """The same, for all tests of a file."""
    yield from _factory(pki)


@pytest.fixture
def boards(shared, tmp_path):
    """Factory of boards of the shared gateway; or of another one: boards(name, gateway=gw)."""
    made = []

    def make(name, *options, gateway=None):
        made.append(Board(gateway or shared, tmp_path, name, *options))
        return made[-1]

    yield make
    failures = []
    for one in made:
        try:
            one.stop()
        except AssertionError as e:
            failures.append(str(e))
        one.abandon()
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="module")
def shared(pki):
    factory = _factory(pki)
    make = next(factory)
    yield make()
    for _ in factory:
        pass
