"""An authority of certificates, and what it has signed, as files."""

from __future__ import annotations

import trustme
from cryptography.hazmat.primitives import serialization


class Papers:
    """An authority and what it has signed, as files."""

    def __init__(self, folder):
        folder.mkdir()
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.broker = self._write(folder, "broker", authority.issue_cert("127.0.0.1"))
        self.elsewhere = self._write(folder, "elsewhere", authority.issue_cert("broker.example"))
        self._authority, self._folder = authority, folder
        rig = authority.issue_cert("rig.example", common_name="rig")
        self.rig = self._write(folder, "rig", rig)
        self.both = folder / "both.pem"
        rig.private_key_and_cert_chain_pem.write_to_path(self.both)
        key = serialization.load_pem_private_key(rig.private_key_pem.bytes(), None)
        self.locked = folder / "locked.pem"
        self.locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )

    def issue(self, who):
        """Certificate and key of somebody, by name."""
        return self._write(self._folder, who, self._authority.issue_cert(f"{who}.example", common_name=who))

    @staticmethod
    def _write(folder, name, issued):
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def lines(self, who=None, *more):
        """Of a broker's config."""
        certificate, key = who or self.broker
        return (f"cafile {self.ca}", f"certfile {certificate}", f"keyfile {key}", *more)
