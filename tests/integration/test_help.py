# SPDX-License-Identifier: BSD-2-Clause
"""Help, manual pages, completion and alert rules say the same, and what is true."""
import os
import re
import subprocess
import urllib.request

import pytest
import yaml

from lib.broker import free_port
from lib.gateway import GATEWAYCTL, SANITIZER_ENV
from lib.wait import PATIENCE

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Of a board's flag it says "those of enroll".
SHARED = {"provision": {"--name", "--group", "--label", "--days", "--replace"}}


def help_of(*words):
    run = subprocess.run([GATEWAYCTL, *words], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=PATIENCE,
                         env=dict(os.environ, **SANITIZER_ENV))
    assert run.returncode == 0 and run.stderr == "", run.stderr
    return run.stdout


def part(text, title):
    """The lines below a title, up to an empty one."""
    found = re.search(r"^%s:\n((?:.+\n)*)" % title, text, re.M)
    return found.group(1) if found else ""


def options(text):
    """{long: letter or None} of a help text."""
    rows = re.findall(r"^  (?:-(\w),|   ) --([\w-]+)", part(text, "Options"), re.M)
    return {"--" + name: letter or None for letter, name in rows}


def every_command():
    """Names as the overview has them: lower-case words, before the arguments."""
    lines = part(help_of("--help"), "Commands").splitlines()
    rows = [re.match(r"  ((?:[a-z]+ )+)", line) for line in lines]
    return [row.group(1).strip() for row in rows if row]


COMMANDS = every_command()


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def manual():
    """{command: source of its items} of the manual page."""
    items = {}
    text = read("man", "gatewayctl.1")
    text = text[text.index(".Sh COMMANDS"):text.index(".Sh FILES")]
    for item in re.split(r"\n\.It (?=Ic |Xo\n\.Ic )", text)[1:]:
        words = re.match(r"(?:Xo\n\.)?Ic ([a-z ]+)", item).group(1).split()
        while " ".join(words) not in COMMANDS:
            words.pop()
        items[" ".join(words)] = items.get(" ".join(words), "") + "." + item + "\n"
    return items


def completed(*words):
    """What Tab offers behind these words."""
    script = ". '%s'; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _gatewayctl; " \
             "printf '%%s\\n' \"${COMPREPLY[@]}\"" % os.path.join(TOP, "completion", "gatewayctl")
    run = subprocess.run(["bash", "-c", script, "bash", "gatewayctl", *words],
                         capture_output=True, text=True, timeout=PATIENCE,
                         stdin=subprocess.DEVNULL)
    assert run.returncode == 0 and run.stderr == "", run.stderr
    return set(run.stdout.split())


def test_overview():
    text = help_of("--help")
    assert max(map(len, text.splitlines())) <= 80
    assert set(COMMANDS) == set(manual())


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command):
    text = help_of("help", *command.split())
    own = options(text)

    assert text == help_of(*command.split(), "--help")
    assert max(map(len, text.splitlines())) <= 80
    assert part(text, "Examples").startswith("  gatewayctl " + command)

    page = manual()[command]
    said = {"--" + name for name in re.findall(r"Fl Fl ([\w-]+)", page)}
    assert set(own) - said == set(), "not in the manual"
    assert said - set(own) - {"--output"} == set(), "only in the manual"
    for name, letter in own.items():
        if letter is not None and name not in SHARED.get(command, ()):
            assert re.search(r"Fl %s\b" % letter, page), "-%s is not in the manual" % letter

    everywhere = set(options(help_of("--help")))
    assert completed(*command.split(), "--") == set(own) | everywhere


def test_completion_of_commands():
    first = {name.split()[0] for name in COMMANDS}
    assert completed("") == first
    assert completed("help", "") == first - {"help"}
    for name in COMMANDS:
        words = name.split()
        for n in range(1, len(words)):
            assert words[n] in completed(*words[:n], words[n][:1])


def test_metrics_are_explained(gateway):
    """The manual's list is the daemon's; alerts ask for nothing else."""
    port = free_port()
    gateway(conf={"metrics": {"address": "127.0.0.1", "port": port}})
    url = "http://127.0.0.1:%d/metrics" % port
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    given = set(re.findall(r"^# TYPE (\w+)", text, re.M))
    listed = re.findall(r"^\.It Va (gateway_\w+)$", read("man", "gateway-operation.7"), re.M)
    # Not before there is something to tell.
    late = {"gateway_uplink_round_trip_seconds", "gateway_broker_messages_dropped_total",
            "gateway_crl_next_update_seconds"}
    assert len(listed) == len(set(listed))
    assert given | late == set(listed)
    alerts = yaml.safe_load(read("conf", "prometheus", "mkr-gateway.yml"))["groups"][0]["rules"]
    asked = set(re.findall(r"gateway_\w+", " ".join(rule["expr"] for rule in alerts)))
    assert asked and asked <= set(listed)


def test_exit_status():
    codes = re.findall(r"^\.It (\d)$", read("man", "gatewayctl.1"), re.M)
    shown = help_of("--help").split("Exit status:")[1]
    assert codes == re.findall(r"\b(\d) ", shown)
