"""rigctl and `rigd run` on a broker that knows everybody by certificate: who has one is let in, and may what its name may."""

from __future__ import annotations

import json

import pytest

from rigd.ctl.__main__ import main
from rigd.ctl.exits import Exit
from tests.brokers import HOST, add_password, mosquitto, subscribed
from tests.remote import RIG, daemon
from tests.unit._papers import Papers
from tests.unit.test_client_mqtt import environ  # noqa: F401  (a fixture)

RIGHTS = f"""
user rig
topic readwrite rigd/{RIG}/#
topic write rigd/clients/+/response
user kim
topic read rigd/{RIG}/#
topic write rigd/{RIG}/request/+
user watcher
topic read rigd/{RIG}/#
pattern read rigd/clients/%c/response
"""


@pytest.fixture
def papers(tmp_path):
    return Papers(tmp_path / "papers")


def shown(papers, who):
    """How rigctl is told who it is."""
    certificate, key = papers.issue(who)
    return ["--cert", str(certificate), "--key", str(key)]


def last(capsys):
    """What was said on standard error: one line."""
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.usefixtures("environ")
def test_who_has_a_certificate_commands_and_who_has_none_is_told_what_to_do(tmp_path, papers, capsys):
    rights = tmp_path / "acl"
    rights.write_text(RIGHTS)
    rights.chmod(0o600)
    lines = papers.lines(
        None, "require_certificate true", "use_identity_as_username true", f"acl_file {rights}"
    )
    certificate, key = papers.rig
    mine = [f"mqtt.tls.ca={papers.ca}", f"mqtt.tls.certificate={certificate}", f"mqtt.tls.key={key}"]
    with mosquitto(tmp_path, *lines) as broker:
        here = ["--url", f"mqtts://{HOST}:{broker.port}/{RIG}", "--ca", str(papers.ca)]
        kim = shown(papers, "kim")
        files = ("--cafile", str(papers.ca), "--cert", kim[1], "--key", kim[3], "-V", "5")
        with daemon(tmp_path, f"mqtt.host={HOST}", f"mqtt.port={broker.port}", *mine) as rigd:
            rigd.start()
            with subscribed(broker.port, f"rigd/{RIG}/availability", options=files) as heard:
                heard.wait(f"rigd/{RIG}/availability", lambda message: message["payload"] == "online")

            assert main(["status", *here, *kim, "--json"]) == Exit.DONE
            assert json.loads(capsys.readouterr().out)["info"]["rig"] == RIG
            assert main(["home", *here, *kim]) == Exit.DONE

            assert main(["status", *here, *shown(papers, "watcher")]) == Exit.DONE
            assert main(["home", *here, *shown(papers, "watcher"), "--json"]) == Exit.REFUSED
            assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "not_allowed"

            assert main(["status", *here]) == Exit.CONFIG
            said = last(capsys)
            assert "asks for a certificate of ours" in said
            assert "--cert" in said.partition("; next: ")[2]

            stranger = shown(Papers(tmp_path / "others"), "kim")
            assert main(["status", *here, *stranger]) == Exit.CONFIG
            assert "refused our certificate" in last(capsys)

            assert main(["status", "--url", here[1], *kim]) == Exit.CONFIG
            said = last(capsys)
            assert "certificate is not trusted" in said
            assert "--ca" in said.partition("; next: ")[2]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.usefixtures("environ")
def test_a_wrong_password_is_no_matter_of_reaching(tmp_path, capsys, version, monkeypatch):
    passwords, mine = tmp_path / "passwords", tmp_path / "mine"
    add_password(passwords, "kim", "right")
    mine.write_text("username: kim\npassword: wrong\n")
    mine.chmod(0o600)
    if version == "3.1.1":
        monkeypatch.setattr("rigd.link.link.Link._reach", old_only)
    with mosquitto(tmp_path, f"password_file {passwords}") as broker:
        url = f"mqtt://{HOST}:{broker.port}"
        for arguments in (
            ["status", "--url", f"{url}/{RIG}", "--credentials", str(mine)],
            ["status", "--url", url, "--credentials", str(mine)],
            ["rigs", "--url", url, "--credentials", str(mine)],
            ["estop", "--url", f"{url}/{RIG}", "--credentials", str(mine), "--timeout", "2"],
            ["home", "--url", f"{url}/{RIG}"],
        ):
            assert main([*arguments, "--json"]) == Exit.CONFIG, arguments
            said = capsys.readouterr()
            assert "refuses us: not authorized" in said.err
            assert "--credentials" in json.loads(said.out)["next"]
            assert "wrong" not in said.err


async def old_only(link):
    """As with a broker that speaks nothing else."""
    return await link._reach_in("3.1.1")
