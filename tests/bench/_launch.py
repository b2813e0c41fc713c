"""Run one command and tell what it cost: `python -I -S _launch.py REPORT CPU_LIMIT_S WALL_LIMIT_S LOG COMMAND...`.

REPORT gets one JSON object. A process of its own, because Linux counts into a child's peak memory what its parent held when it
was forked: a child of the benchmark would begin with the benchmark's own hundreds of megabytes, a child of this one with a few.
"""

import json
import os
import resource
import signal
import sys
import time


def main() -> None:
    report, cpu_limit_s, wall_limit_s, log, *command = sys.argv[1:]
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        become(command, int(cpu_limit_s), log)
    stopped = []

    def stop(*_: object) -> None:
        stopped.append(True)
        os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.setitimer(signal.ITIMER_REAL, float(wall_limit_s))
    _, status, usage = os.wait4(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    code = os.waitstatus_to_exitcode(status)
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be most of what this process holds
        json.dump(
            {
                "code": code,
                "stopped": bool(stopped) or code == -signal.SIGXCPU,
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "wall_s": time.monotonic() - started,
                "rss_mb": usage.ru_maxrss / 1024,
            },
            file,
        )


def become(command: list[str], cpu_limit_s: int, log: str) -> None:
    """In the child: a group of its own, so that whatever it starts can be ended with it; output to `log`; no input."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit_s, cpu_limit_s + 5))
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(127)


if __name__ == "__main__":
    main()
