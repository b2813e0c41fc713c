"""User and password from a file, and what is said of files that do not hold them."""

import logging
import os
import traceback

import pytest

from rigd.link import Credentials, CredentialsError, read_credentials, systemd_credential


@pytest.fixture
def written(tmp_path):
    def write(content, mode=0o600):
        path = tmp_path / "broker.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    ("content", "user", "password"),
    [
        ("username: rig\npassword: horse\n", "rig", "horse"),
        ("password:horse\r\nusername:rig", "rig", "horse"),
        ("# of the bench\n\nusername: rig\npassword: a: b # c 'd\"\n", "rig", "a: b # c 'd\""),
        ('username: rig\npassword: "quoted"\n', "rig", '"quoted"'),
        ("username: rig\npassword:   two blanks, and two more  \n", "rig", "  two blanks, and two more  "),
        ("\ufeffusername: rig\npassword: grün\n", "rig", "grün"),
        ("username: rig\npassword: 007\n", "rig", "007"),
        ("username: rig\n", "rig", None),
        ("username: rig\npassword:\n", "rig", None),
    ],
)
def test_two_lines_are_taken_as_they_are(written, content, user, password):
    assert read_credentials(written(content)) == Credentials(user, password)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no 'username:'; it must hold two lines"),
        ("password: s3cret\n", "no 'username:'"),
        ("username:\npassword: s3cret\n", "no 'username:'"),
        ("username: rig\ns3cret\n", "line 2 is neither; it must hold two lines"),
        ("username: rig\npass: s3cret\n", "line 2 is neither"),
        ("username: rig\npassword: s3cret\npassword: s3cret2\n", "line 3: a second 'password:'; remove one"),
        ("username: rig\npassword: s3c\0ret\n", "line 2: a NUL character"),
        (b"username: rig\npassword: s3cret\xff\n", "not UTF-8 text; save it as UTF-8"),
        (b"s3cret" * 20_000, "too long"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_of_the_content(written, content, words):
    path = written(content)
    with pytest.raises(CredentialsError) as caught:
        read_credentials(path)
    assert str(caught.value).startswith(f"credentials file {path}: ")
    assert words in str(caught.value)
    assert "s3c" not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CredentialsError, match=r"nowhere: No such file.*it must be there and readable"):
        read_credentials(tmp_path / "nowhere")
    with pytest.raises(CredentialsError, match="Is a directory"):
        read_credentials(tmp_path)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_every_user_can_read_is_warned_of(written, caplog, mode, warned):
    path = written("username: rig\npassword: s3cret\n", mode)
    with caplog.at_level(logging.DEBUG):
        read_credentials(path)
    assert ("can be read by every user" in caplog.text) is warned
    assert (f"chmod 600 {path}" in caplog.text) is warned
    assert "s3cret" not in caplog.text


def test_a_password_is_in_no_representation():
    assert "horse" not in repr(Credentials("rig", "horse"))


def test_a_credential_of_systemd_is_a_file_in_its_folder(tmp_path):
    (tmp_path / "broker").write_text("username: rig\n")
    path = systemd_credential("broker", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert path == tmp_path / "broker"
    with pytest.raises(CredentialsError, match="not among those of systemd; add LoadCredential=other:"):
        systemd_credential("other", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(CredentialsError, match=r"\$CREDENTIALS_DIRECTORY is not set.*LoadCredential=broker:"):
        systemd_credential("broker", {})


def test_the_folder_of_systemd_is_taken_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "broker").write_text("username: rig\n")
    monkeypatch.setitem(os.environ, "CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_credentials(systemd_credential("broker")).username == "rig"
