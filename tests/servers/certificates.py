"""A certificate authority for tests, and the PEM files that it gives."""

from pathlib import Path

import trustme

from kyara_rpc import Tls


class Authority:
    """A CA of the test's own, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = folder / "ca.pem"
        self.renew()

    def renew(self) -> None:
        """Another CA in the same file; what the last one signed is of no use any more."""
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(self.ca)

    def identity(self, name: str) -> Tls:
        """The files of a service on this machine; given again, they hold another certificate."""
        issued = self._ca.issue_cert("localhost", "127.0.0.1")
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.private_key_pem.write_to_path(key)
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return Tls(cert, key, self.ca)


def tls_settings(tls: Tls) -> dict[str, str]:
    """The settings that give a service `tls`."""
    return {"tls_cert": str(tls.cert), "tls_key": str(tls.key), "tls_ca": str(tls.ca)}
