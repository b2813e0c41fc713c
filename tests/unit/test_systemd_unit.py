"""The unit, the device rules and the user, as systemd's own tools and plain reading judge them."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rigd.cli.exits import Exit

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "rigd.service"
EXPOSURE_LIMIT = 2.0

analyze = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed")


def run_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert analyze
    return subprocess.run(
        [analyze, "--no-pager", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def startable(folder: Path, text: str) -> Path:
    """A copy whose program exists here: verify also looks for that, and rigd is not installed on a test machine."""
    copy = folder / "rigd.service"
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
    return copy


@needs_analyze
def test_verify_is_silent(tmp_path):
    result = run_analyze("verify", str(startable(tmp_path, UNIT.read_text())))
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@needs_analyze
def test_verify_would_not_be_silent_about_a_wrong_key(tmp_path):
    result = run_analyze(
        "verify", str(startable(tmp_path, UNIT.read_text().replace("WatchdogSec", "WatchdogSecs")))
    )
    assert "WatchdogSecs" in result.stderr


@needs_analyze
def test_exposure():
    result = run_analyze("security", "--offline=true", f"--threshold={round(EXPOSURE_LIMIT * 10)}", str(UNIT))
    assert result.returncode == 0, result.stdout[-400:]
    score = re.search(r"exposure level for rigd\.service: ([0-9.]+)", result.stdout)
    assert score
    assert float(score[1]) <= EXPOSURE_LIMIT


@needs_analyze
def test_exposure_would_fail_without_the_hardening(tmp_path):
    soft = "".join(
        line
        for line in UNIT.read_text().splitlines(keepends=True)
        if not line.startswith(("SystemCallFilter", "CapabilityB"))
    )
    (tmp_path / "rigd.service").write_text(soft)
    result = run_analyze(
        "security",
        "--offline=true",
        f"--threshold={round(EXPOSURE_LIMIT * 10)}",
        str(tmp_path / "rigd.service"),
    )
    assert result.returncode == 1


def settings() -> dict[str, list[str]]:
    """Every setting of the unit with all its values, in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_watchdog_and_restart():
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert unit["Restart"] == ["on-failure"]
    assert int(unit["WatchdogSec"][0]) > 0


def test_exit_codes_are_those_of_the_program():
    unit = settings()
    assert unit["RestartPreventExitStatus"] == [f"{Exit.USAGE:d} {Exit.CONFIG:d}"]
    assert unit["SuccessExitStatus"] == [f"{Exit.INTERRUPTED:d}"]


def test_wiring_and_example_name_the_same_pins():
    """The drawing in the hardware guide is of the example rig that is wired straight to the Pi."""
    repository = SYSTEMD.parent
    pins = re.findall(
        r"(?m)^ +(?:\w+_)?pin: (\d+)", (repository / "config" / "pi-hq-stepdir.yaml").read_text()
    )
    drawing = (repository / "docs" / "hardware.md").read_text().split("```")[1]
    drawn = re.findall(r"GPIO(\d+)", drawing)
    assert len(pins) == 7
    assert set(pins) <= set(drawn)
    assert len(drawn) == len(set(drawn))


def test_numba_may_compile_and_has_a_place_for_it():
    unit = settings()
    assert "MemoryDenyWriteExecute" not in unit
    assert any("NUMBA_CACHE_DIR=%C/" + unit["CacheDirectory"][0] in value for value in unit["Environment"])


def test_the_socket_is_for_the_group_only():
    unit = settings()
    assert unit["RuntimeDirectory"] == ["rigd"]
    assert unit["RuntimeDirectoryMode"] == ["0750"]


def test_a_rig_needs_no_network_and_no_credentials_to_start():
    unit = settings()
    wanted = " ".join(
        value for key in ("After", "Wants", "Requires", "BindsTo") for value in unit.get(key, [])
    )
    assert "network" not in wanted
    assert "LoadCredential" not in unit


def test_every_supplementary_group_is_made_by_the_installer():
    made = {
        line.split()[1]
        for line in (SYSTEMD / "rigd.sysusers").read_text().splitlines()
        if line.startswith("g ")
    }
    assert set(settings()["SupplementaryGroups"][0].split()) <= made


def test_every_group_of_a_device_rule_is_one_of_the_service():
    used = set(re.findall(r'GROUP="(\w+)"', (SYSTEMD / "60-rigd.rules").read_text()))
    assert used
    assert used <= set(settings()["SupplementaryGroups"][0].split())


def test_device_rules_are_well_formed():
    part = re.compile(r'[A-Z]+(\{[A-Za-z_]+\})?(==|!=|=|\+=)"[^"]*"')
    rules = (SYSTEMD / "60-rigd.rules").read_text().splitlines()
    labels = set()
    jumps = set()
    for line in rules:
        if not line or line.startswith("#"):
            continue
        pieces = re.findall(r'[^,"]+"[^"]*"', line)
        assert ", ".join(piece.strip() for piece in pieces) == line
        assert all(part.fullmatch(piece.strip()) for piece in pieces), line
        labels |= set(re.findall(r'LABEL="(\w+)"', line))
        jumps |= set(re.findall(r'GOTO="(\w+)"', line))
    assert jumps == labels


def test_unit_has_three_sections():
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",)
    )
    parser.read_string(UNIT.read_text())
    assert parser.sections() == ["Unit", "Service", "Install"]
