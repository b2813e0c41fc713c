"""The installer: what a rehearsal prints, what it refuses, and files under a root of their own, twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "systemd" / "install.sh"
CHANGERS = (
    "apt-get", "systemctl", "systemd-sysusers", "udevadm", "install", "cp", "ln", "rm", "mkdir", "mktemp", "chown", "chmod",
    "useradd", "groupadd", "usermod", "adduser", "pip", "env", "tee", "mv", "touch", "runuser", "sudo",
)  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


class Machine:
    """A PATH on which everything that changes a machine only writes down that it was called."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"
        self.calls.write_text("")
        for name in CHANGERS:
            script(self.bin / name, f'echo "{name} $*" >> {self.calls}')
        self.says("dpkg", "echo arm64")
        self.says("dpkg-query", "exit 1")
        self.says("df", 'printf "Filesystem 1M-blocks Used Available\\ndisk 9 1 99999 x /\\n"')
        self.python("3.11.2", numpy="1")

    def says(self, name: str, text: str) -> None:
        script(self.bin / name, text)

    def python(self, version: str, numpy: str) -> None:
        """A Python of this version, whose NumPy has this major version (empty: none)."""
        old = tuple(int(part) for part in version.split(".")[:2]) < (3, 11)
        self.says(
            "python3",
            'case "$*" in\n'
            f"*numpy*) echo {numpy}; test -n '{numpy}' ;;\n"
            f"*exit*) exit {int(old)} ;;\n"
            f"*) echo 'Python {version}' ;;\nesac",
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(SCRIPT), "--python", str(self.bin / "python3"), *arguments],
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def commands(output: str) -> list[str]:
    return [line[2:] for line in output.splitlines() if line.startswith("+ ")]


def position(lines: list[str], *words: str) -> int:
    matching = [index for index, line in enumerate(lines) if all(word in line for word in words)]
    assert len(matching) == 1, (words, lines)
    return matching[0]


def test_syntax():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True, timeout=20)


def test_shellcheck():
    shellcheck = Path(sys.executable).with_name("shellcheck")  # one of the development dependencies
    result = subprocess.run(
        [str(shellcheck), str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == ""


def test_rehearsal_runs_nothing_and_is_in_order(machine):
    result = machine.run("--dry-run", "--board", "pi", "--prefix", "/opt/rigd-rehearsal")
    assert (result.returncode, result.stderr) == (0, "")
    assert machine.calls.read_text() == ""
    lines = commands(result.stdout)
    order = [
        position(lines, "apt-get update"),
        position(
            lines, "apt-get install", "python3-venv", "python3-picamera2", "python3-lgpio", "python3-gpiozero"
        ),
        position(lines, "systemd-sysusers "),
        position(lines, "-m venv", "--system-site-packages", "/opt/rigd-rehearsal"),
        position(lines, "-m pip", "install"),
        position(lines, "import", "picamera2"),
        position(lines, "/etc/rigd/rig.yaml", "install"),
        position(lines, "/etc/systemd/system/rigd.service"),
        position(lines, "daemon-reload"),
        position(lines, "systemctl enable"),
    ]
    assert order == sorted(order)
    assert not any("systemctl restart" in line or "systemctl start" in line for line in lines)


def test_both_commands_are_put_on_the_path(machine):
    lines = commands(machine.run("--dry-run", "--board", "other", "--prefix", "/opt/rigd-rehearsal").stdout)
    missing = [name for name in ("rigd", "rigctl") if not Path("/usr/local/bin", name).exists()]
    linked = [line.split() for line in lines if line.startswith("ln ")]
    assert linked == [
        ["ln", "-s", f"/opt/rigd-rehearsal/bin/{name}", f"/usr/local/bin/{name}"] for name in missing
    ]


def test_rehearsal_with_now_starts_last(machine):
    lines = commands(machine.run("--dry-run", "--now", "--board", "other").stdout)
    assert position(lines, "systemctl enable") < position(lines, "systemctl restart rigd.service")


def test_a_machine_that_is_no_pi_gets_no_pi_packages(machine):
    output = machine.run("--dry-run", "--board", "other").stdout
    assert "picamera2" not in output
    assert "python3-venv" in output


@pytest.mark.parametrize(
    ("version", "numpy", "held"),
    [("3.11.2", "1", True), ("3.13.5", "2", False), ("3.11.2", "2", False), ("3.11.2", "", False)],
)
def test_numpy_is_held_below_2_only_where_the_systems_is_1(machine, version, numpy, held):
    machine.python(version, numpy=numpy)
    lines = commands(machine.run("--dry-run", "--board", "other").stdout)
    assert ("requirements/pi-numpy1.txt" in lines[position(lines, "-m pip")]) == held


def test_packages_that_are_there_are_not_asked_for_again(machine):
    machine.says("dpkg-query", "printf 'install ok installed'")
    assert "apt-get" not in machine.run("--dry-run", "--board", "pi").stdout


@pytest.mark.parametrize(
    ("change", "complaint", "fix"),
    [
        (lambda m: m.says("dpkg", "echo armhf"), "armhf", "64-bit"),
        (lambda m: m.python("3.9.2", numpy="1"), "3.11 or later", "bookworm"),
        (lambda m: m.says("df", 'printf "x\\nd 9 1 100 x /\\n"'), "only 100 MB", "make room"),
    ],
)
def test_refusals_name_the_fix(machine, change, complaint, fix):
    change(machine)
    result = machine.run("--dry-run", "--prefix", "/opt/rigd-rehearsal")
    assert result.returncode == 1
    assert complaint in result.stderr
    assert fix in result.stderr.partition("to fix:")[2]
    assert commands(result.stdout) == []


@pytest.mark.parametrize(
    "arguments", [["--prefix"], ["--perfix", "x"], ["--prefix", "/usr"], ["--prefix", "opt"], ["--prefix", "/opt/a b"],
                  ["--prefix", "/opt/../etc"], ["--prefix", "/home/pi/rigd"], ["--board", "potato"]],
)  # fmt: skip
def test_bad_arguments(machine, arguments):
    result = machine.run("--dry-run", *arguments)
    assert result.returncode == 1
    assert "to fix:" in result.stderr
    assert machine.calls.read_text() == ""


def test_help(machine):
    result = machine.run("--help")
    assert result.returncode == 0
    assert "--dry-run" in result.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="run as root")
def test_without_root_it_is_refused(machine):
    result = machine.run()
    assert result.returncode == 1
    assert "sudo" in result.stderr


def test_removal_in_rehearsal_keeps_what_is_the_users(machine):
    result = machine.run("--dry-run", "--uninstall")
    assert result.returncode == 0
    assert machine.calls.read_text() == ""
    assert not any("/etc/rigd" in line or "/var/lib/rigd" in line for line in commands(result.stdout))


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its mode, the moment it was written, and its content."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(root)): (path.stat().st_mode & 0o777, path.stat().st_mtime_ns, path.read_bytes())
        for path in files
    }


def into(root: Path, *arguments: str, script_file: Path = SCRIPT) -> str:
    result = subprocess.run(
        ["bash", str(script_file), "--root", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def copy_of_the_repository(folder: Path) -> Path:
    """Just what the installer reads, so that a test can update it."""
    for name in ("systemd", "config", "docs", "requirements"):
        shutil.copytree(REPOSITORY / name, folder / name)
    return folder / "systemd" / "install.sh"


def test_a_second_run_changes_nothing(tmp_path):
    into(tmp_path)
    first = tree(tmp_path)
    assert {
        "etc/rigd/rig.yaml", "etc/systemd/system/rigd.service", "etc/udev/rules.d/60-rigd.rules", "etc/sysusers.d/rigd.conf",
    } <= set(first)  # fmt: skip
    assert first["etc/rigd/rig.yaml"][0] == 0o640
    assert first["etc/systemd/system/rigd.service"][0] == 0o644
    into(tmp_path)
    assert tree(tmp_path) == first


def test_an_update_replaces_the_unit_and_keeps_the_config(tmp_path):
    root, installer = tmp_path / "root", copy_of_the_repository(tmp_path / "checkout")
    into(root, script_file=installer)
    (root / "etc/rigd/rig.yaml").write_text("rig: mine\n")
    unit = installer.with_name("rigd.service")
    unit.write_text(unit.read_text() + "# newer\n")
    (tmp_path / "checkout/config/simulated.yaml").write_text("rig: another\n")
    into(root, script_file=installer)
    assert (root / "etc/rigd/rig.yaml").read_text() == "rig: mine\n"
    assert "# newer" in (root / "etc/systemd/system/rigd.service").read_text()


def test_another_prefix_reaches_the_unit(tmp_path):
    into(tmp_path, "--prefix", "/srv/rig/programs")
    unit = (tmp_path / "etc/systemd/system/rigd.service").read_text()
    assert "ExecStart=/srv/rig/programs/bin/rigd run" in unit
    assert "/opt/rigd" not in unit


def test_rehearsal_into_a_root_writes_nothing(tmp_path):
    assert commands(into(tmp_path, "--dry-run"))
    assert tree(tmp_path) == {}


def test_removal_keeps_the_config(tmp_path):
    into(tmp_path)
    into(tmp_path, "--uninstall")
    assert set(tree(tmp_path)) == {"etc/rigd/rig.yaml"}
    into(tmp_path, "--uninstall")
