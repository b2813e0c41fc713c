"""A real service manager and a small real service: READY is waited for, progress keeps it alive, a hang is ended and restarted.

The manager is `systemd --user`, the same code as the system's, in mount and PID namespaces of its own: whatever happens, it and all
that it started end with the first process of the namespace.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MANAGER = next(
    (path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), None
)
DEADLINE_S = 20.0
WATCHDOG_S = 0.6

NAMESPACE = """
set -e
mount -t tmpfs tmpfs /run
mount --make-shared /run  # as systemd finds it on a real machine: credentials are mounted below it
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
mount -t cgroup2 none /sys/fs/cgroup
echo up
exec {manager} --user --log-target=console
"""

SERVICE = """
import os, select, sys
from drivers.clock import SystemClock
from rigd.watchdog import Notifier, ProgressWatchdog, watchdog_interval_s

orders = os.open(sys.argv[1], os.O_RDWR)
notifier = Notifier.from_environ()
watchdog = ProgressWatchdog(notifier, SystemClock(), watchdog_interval_s())
os.read(orders, 1)
notifier.ready("homing is possible")
while True:
    readable, _, _ = select.select([orders], [], [], watchdog.tick_s)
    order = os.read(orders, 1) if readable else b"."
    if order == b"h":
        select.select([], [], [])
    if order == b"q":
        notifier.stopping()
        sys.exit(0)
    watchdog.progress()
"""

REACH = """
[Service]
Type=oneshot
UMask=0027
ExecStart=/bin/sh -c 'stat -c "%%a" "$RUNTIME_DIRECTORY" > {told}; cat "$CREDENTIALS_DIRECTORY/broker" >> {told}'
{settings}
"""

UNIT = """
[Service]
Type=notify
NotifyAccess=main
ExecStart={python} {program} {orders}
ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT >> {results}'
Environment=PYTHONPATH={repository}
WatchdogSec={watchdog_s}
Restart=on-failure
RestartSec=100ms
LimitCORE=0
"""


class Manager:
    """A service manager in a namespace, and one service that obeys single-letter orders from a pipe."""

    def __init__(self, folder: Path) -> None:
        self.orders = folder / "orders"
        os.mkfifo(self.orders)
        # Read and write: it opens without a reader, and the service never sees the end of it.
        self._orders = os.open(self.orders, os.O_RDWR | os.O_NONBLOCK)
        self.results = folder / "results"
        units = folder / "config" / "systemd" / "user"
        units.mkdir(parents=True)
        program = folder / "service.py"
        program.write_text(SERVICE)
        (units / "probe.service").write_text(
            UNIT.format(
                python=sys.executable,
                program=program,
                orders=self.orders,
                results=self.results,
                repository=REPOSITORY,
                watchdog_s=WATCHDOG_S,
            )
        )
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_RUNTIME_DIR": "/run/user/0",
        }
        assert MANAGER
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                # Not exec of unshare itself: the manager must not be process 1, or it would take itself for the system's.
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
                 "bash", "-c", f"bash -c '{NAMESPACE.format(manager=MANAGER)}' & wait"],
                env=self._environ, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._log = folder / "log"

    def wait_until_up(self) -> None:
        assert self._process.stdout
        readable, _, _ = select.select([self._process.stdout], [], [], DEADLINE_S)
        if not readable or self._process.stdout.readline() != b"up\n":
            pytest.skip(f"no namespaces or cgroups here: {self._log.read_text()[-200:]}")
        self.until(lambda: self.ask("is-system-running").stdout.strip() in {"running", "degraded"})

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """systemctl, inside."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return subprocess.run(
            ["nsenter", "--target", children[0], "--mount", "--pid", "systemctl", "--user", *arguments],
            env=self._environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def show(self, name: str) -> str:
        return self.ask("show", "probe.service", "--value", "-p", name).stdout.strip()

    def until(self, true) -> None:
        """Ask again and again; each question is a process, which is pause enough."""
        end_s = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < end_s, self._log.read_text()[-2000:]

    def tell(self, order: bytes) -> None:
        os.write(self._orders, order)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_S)
        assert self._process.stdout
        self._process.stdout.close()
        os.close(self._orders)


@pytest.fixture
def manager(tmp_path):
    missing = [tool for tool in ("unshare", "nsenter", "systemctl", "bash") if shutil.which(tool) is None]
    if missing or MANAGER is None:
        pytest.skip(f"not installed: {', '.join(missing) or 'systemd'}")
    if os.geteuid() != 0:
        pytest.skip("namespaces and mounts need root")
    manager = Manager(tmp_path)
    try:
        manager.wait_until_up()
        yield manager
    finally:
        manager.close()


def test_ready_progress_and_hang(manager):
    manager.ask("start", "--no-block", "probe.service")
    manager.until(lambda: manager.show("MainPID") != "0")
    assert manager.show("ActiveState") == "activating"

    manager.tell(b"r")
    manager.until(lambda: manager.show("ActiveState") == "active")
    assert manager.show("StatusText") == "homing is possible"
    first_pid = manager.show("MainPID")

    enough_us = int(manager.show("ActiveEnterTimestampMonotonic")) + 4 * WATCHDOG_S * 1e6
    manager.until(lambda: int(manager.show("WatchdogTimestampMonotonic")) > enough_us)
    assert (manager.show("MainPID"), manager.show("NRestarts")) == (first_pid, "0")

    manager.tell(b"h")
    manager.until(
        lambda: manager.show("NRestarts") == "1" and manager.show("MainPID") not in {"0", first_pid}
    )
    assert manager.results.read_text().split() == ["watchdog"]

    manager.tell(b"r")
    manager.until(lambda: manager.show("ActiveState") == "active")
    manager.tell(b"q")
    manager.until(lambda: manager.show("ActiveState") == "inactive")
    assert manager.results.read_text().split() == ["watchdog", "success"]


def test_the_folder_of_the_socket_and_the_credential_of_the_guide(manager, tmp_path):
    """As the unit and docs/install.md have them, but for the path."""
    unit = (REPOSITORY / "systemd" / "rigd.service").read_text()
    guide = (REPOSITORY / "docs" / "install.md").read_text()
    wanted = [line for line in unit.splitlines() if line.startswith("RuntimeDirectory")]
    (credential,) = (line for line in guide.splitlines() if line.startswith("LoadCredential="))
    secret = tmp_path / "broker.credentials"
    secret.write_text("username: bench\n")
    secret.chmod(0o600)
    wanted.append(f"{credential.partition(':')[0]}:{secret}")
    told = tmp_path / "told"
    manager.orders.with_name("config").joinpath("systemd", "user", "reach.service").write_text(
        REACH.format(told=told, settings="\n".join(wanted))
    )
    assert manager.ask("daemon-reload").returncode == 0
    started = manager.ask("start", "reach.service")
    assert started.returncode == 0, started.stderr
    assert told.read_text().splitlines() == ["750", "username: bench"]
