"""The script that installs the tests' own tools: what it asks for, and that it starts no broker of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "requirements" / "make-tools"
TOOLS = ("mosquitto", "mosquitto_pub", "mosquitto_sub", "openssl", "cc")
BASE = ("cat", "env", "install", "mktemp", "rm", "sh", "true")


class Machine:
    """A PATH with nothing on it but what is put there; apt-get and its like only write down that they were called."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.policy = folder / "policy-rc.d"
        self.calls = folder / "calls"
        self.calls.write_text("")
        for name in BASE:
            found = shutil.which(name)
            assert found
            (self.bin / name).symlink_to(found)
        self.has("id", "echo 0")
        self.records("apt-get")
        self.records("systemctl")

    def has(self, name: str, text: str = "exit 0") -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def records(self, name: str, then: str = "exit 0") -> None:
        """One that writes down its call, and whether services could have been started meanwhile."""
        held = f'test -x {self.policy} && held=held || held="not held"'
        self.has(name, f'{held}; echo "{name} $* ($held)" >> {self.calls}; {then}')

    def run(self, script: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "sh"), str(script)],
            env={"PATH": str(self.bin), "POLICY_RC_D": str(self.policy)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def script(tmp_path):
    """The script, for a machine whose /usr/sbin is empty."""
    copy = tmp_path / "make-tools"
    text = SCRIPT.read_text()
    assert text.count("/usr/sbin/$1") == 1
    copy.write_text(text.replace("/usr/sbin/$1", "/nonexistent/$1"))
    return copy


def test_shellcheck():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_it_is_called_before_tests_and_is_executable():
    assert os.access(SCRIPT, os.X_OK)
    rules = (REPOSITORY / "Makefile").read_text().split("\n\n")
    callers = {rule.partition(":")[0] for rule in rules if "\n\t@requirements/make-tools\n" in rule}
    assert callers == {"test", "bench", "soak"}


def test_where_everything_is_there_it_is_quiet_and_does_nothing(machine, script):
    for name in TOOLS:
        machine.has(name)
    done = machine.run(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.called == []


def test_a_new_broker_is_installed_but_neither_started_nor_enabled(machine, script):
    done = machine.run(script)
    assert done.returncode == 0, done.stderr
    update, install, disable = machine.called
    assert update.startswith("apt-get update")
    assert "mosquitto mosquitto-clients openssl gcc libc6-dev" in install
    assert install.endswith("(held)")
    assert "disable" in disable
    assert "mosquitto" in disable
    assert not machine.policy.exists()


def test_a_broker_that_is_there_stays_as_it_is(machine, script):
    machine.has("mosquitto")
    machine.has("openssl")
    machine.has("cc")
    assert machine.run(script).returncode == 0
    (_, install) = machine.called
    assert install.endswith(" mosquitto-clients (not held)")


def test_a_policy_of_the_machine_is_kept(machine, script):
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    assert machine.run(script).returncode == 0
    assert "104" in machine.policy.read_text()


def test_a_failure_is_shown_with_the_fix_and_leaves_no_policy(machine, script):
    machine.records("apt-get", "echo 'no such host' >&2; exit 100")
    done = machine.run(script)
    assert done.returncode == 2
    assert "no such host" in done.stderr
    assert "to fix:" in done.stderr
    assert not machine.policy.exists()


def test_no_apt_is_said_with_what_is_needed(machine, script):
    (machine.bin / "apt-get").unlink()
    done = machine.run(script)
    assert done.returncode == 2
    assert "no apt-get" in done.stderr
    assert "mosquitto" in done.stderr.partition("to fix:")[2]


def test_who_is_not_root_needs_sudo(machine, script):
    machine.has("id", "echo 1000")
    done = machine.run(script)
    assert done.returncode == 2
    assert "as root: apt-get install mosquitto" in done.stderr
    machine.has("sudo", f'echo "sudo $*" >> {machine.calls}; exec "$@"')
    assert machine.run(script).returncode == 0
    assert any(call.startswith("sudo apt-get update") for call in machine.called)
    assert not machine.policy.exists()
