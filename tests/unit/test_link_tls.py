"""Links that are encrypted, and what is said of certificates that do not fit."""

import asyncio
import ssl

import pytest

from rigd.link import Endpoint, TlsFiles
from tests.brokers import mosquitto
from tests.links import endpoint, going, party, scripted, text
from tests.unit._papers import Papers


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    return Papers(tmp_path_factory.mktemp("papers") / "ours")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Of an authority that nobody here trusts."""
    return Papers(tmp_path_factory.mktemp("papers") / "theirs")


@pytest.fixture(scope="module")
def broker(tmp_path_factory, papers):
    with mosquitto(tmp_path_factory.mktemp("broker"), *papers.lines()) as one:
        yield one


@pytest.fixture(scope="module")
def strict(tmp_path_factory, papers):
    """A broker that goes by certificates, and knows who we are by ours."""
    lines = papers.lines(None, "require_certificate true", "use_identity_as_username true")
    with mosquitto(tmp_path_factory.mktemp("strict"), *lines) as one:
        yield one


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with mosquitto(tmp_path_factory.mktemp("plain")) as one:
        yield one


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_encrypted_link_carries_long_messages_and_many(broker, papers, protocol):
    tls = TlsFiles(ca=papers.ca)

    async def body():
        async with (
            party(endpoint(broker.port, "rig", tls=tls, protocol=protocol)) as rig,
            party(endpoint(broker.port, "user", tls=tls, protocol=protocol), "t/#") as user,
        ):
            await rig.up()
            await user.up()
            rig.link.send(text("t/long", "x" * 300_000))
            for number in range(500):
                rig.link.send(text("t/short", str(number)))
            await user.hears("t/short", b"499")
            assert user.payloads("t/long") == [b"x" * 300_000]
            assert user.payloads("t/short") == [b"%d" % number for number in range(500)]

    going(body())


def test_packets_that_come_in_one_record_are_all_read(papers):
    """What has been decrypted waits inside the socket, of which the loop knows nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*papers.broker)
    several = b"\x90\x04II\x00\x01" + b"".join(b"\x30\x05\x00\x01t\x00%c" % letter for letter in b"abcdefgh")

    async def body():
        async with (
            scripted({1: b"\x20\x03\x00\x00\x00", 8: several}, tls=context) as generous,
            party(endpoint(generous.port, tls=TlsFiles(ca=papers.ca), keepalive_s=600), "t") as rig,
        ):
            await rig.hears("t", b"h")
            assert rig.payloads("t") == [b"%c" % letter for letter in b"abcdefgh"]

    going(body())


@pytest.mark.parametrize("form", ["two files", "one file"])
def test_a_broker_that_asks_for_a_certificate_gets_ours(strict, papers, form):
    certificate, key = papers.rig if form == "two files" else (papers.both, None)

    async def body():
        since = strict.logged
        where = endpoint(strict.port, tls=TlsFiles(papers.ca, certificate, key))
        async with party(where) as rig:
            await rig.up()
            await asyncio.to_thread(strict.wait_for, "u'rig'", since)

    going(body())


def said(where):
    """What the first failed try says."""
    words = []

    async def body():
        async with party(where) as rig:
            await rig.until(lambda: rig.failures)
            words.append(rig.failures[0])
            assert rig.ups == 0

    going(body())
    return words[0]


def test_a_broker_of_another_authority_is_not_trusted(broker, others):
    words = said(endpoint(broker.port, tls=TlsFiles(ca=others.ca)))
    assert words.startswith("the broker's certificate is not trusted: ")
    assert "certificate in certificate chain" in words
    assert f"(trusted are the certificates in {others.ca})" in words


def test_a_broker_of_an_authority_that_the_system_does_not_know_is_not_trusted(broker):
    words = said(endpoint(broker.port, tls=TlsFiles()))
    assert words.startswith("the broker's certificate is not trusted: ")
    assert "name a CA file if it has its own" in words


def test_a_certificate_for_another_name_is_not_trusted(tmp_path, papers):
    with mosquitto(tmp_path, *papers.lines(papers.elsewhere)) as one:
        words = said(endpoint(one.port, tls=TlsFiles(ca=papers.ca)))
    assert words.startswith("the broker's certificate is not trusted: ")
    assert "127.0.0.1" in words


def test_a_certificate_that_is_asked_for_and_not_there(strict, papers):
    words = said(endpoint(strict.port, tls=TlsFiles(ca=papers.ca)))
    assert words == "the broker asks for a certificate of ours, and there is none"


def test_a_certificate_that_the_broker_does_not_trust(strict, papers, others):
    words = said(endpoint(strict.port, tls=TlsFiles(papers.ca, *others.rig)))
    assert words.startswith("the broker refused our certificate (")


def test_a_broker_that_does_not_speak_tls_on_that_port(plain, papers):
    words = said(endpoint(plain.port, tls=TlsFiles(ca=papers.ca)))
    assert words == "the broker hung up during the TLS handshake; perhaps it does not speak TLS on this port"


def test_an_answer_in_clear_is_known_for_what_it_is(papers):
    async def body():
        async def serve(reader, writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, party(endpoint(port, tls=TlsFiles(ca=papers.ca))) as rig:
            await rig.until(lambda: rig.failures)
            assert rig.failures[0] == "the broker does not speak TLS on this port"

    going(body())


def test_a_broker_that_speaks_nothing_but_tls_on_that_port(broker):
    words = said(endpoint(broker.port))
    assert words == "the broker ended the connection before it answered; perhaps it wants TLS on this port"


def test_files_that_cannot_be_used_are_named(broker, papers, tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing of the kind")
    missing = tmp_path / "missing.pem"
    certificate, _ = papers.rig
    cases = {
        TlsFiles(ca=missing): f"CA file {missing} cannot be used: No such file",
        TlsFiles(ca=junk): f"CA file {junk} cannot be used",
        TlsFiles(papers.ca, junk): f"certificate {junk} cannot be used",
        TlsFiles(
            papers.ca, certificate, missing
        ): f"certificate {certificate} with key {missing} cannot be used",
        TlsFiles(
            papers.ca, certificate, papers.broker[1]
        ): "cannot be used: the key is not that of the certificate",
        TlsFiles(
            papers.ca, certificate, papers.locked
        ): "the key is encrypted, and there is no password for it",
    }
    for files, words in cases.items():
        assert words in said(endpoint(broker.port, tls=files)), files


def test_a_renewed_certificate_is_read_without_a_restart(broker, papers, others, tmp_path):
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(others.ca.read_bytes())

    async def body():
        where = endpoint(broker.port, tls=TlsFiles(ca=trusted))
        async with party(where) as rig:
            await rig.until(lambda: rig.failures)
            trusted.write_bytes(papers.ca.read_bytes())
            await rig.up()

    going(body())


def test_an_address_may_be_of_the_new_kind():
    assert str(Endpoint("::1", 8883, "rig")) == "[::1]:8883"
