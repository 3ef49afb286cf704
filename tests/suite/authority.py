"""The test authority as a registry: certificates that end when a test says, and withdrawn ones."""

import datetime

CONFIGURATION = """[ca]
default_ca = ours
[ours]
database = {0}/registry.txt
serial = {0}/registry.serial
new_certs_dir = {0}
certificate = {0}/ca.crt
private_key = {0}/ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
unique_subject = no
policy = any
[any]
organizationalUnitName = optional
commonName = supplied
"""


class Authority:
    """Issues and withdraws POS certificates with the suite's own CA key."""

    def __init__(self, suite):
        self.suite = suite
        self.directory = suite.directory
        (self.directory / "registry.cnf").write_text(CONFIGURATION.format(self.directory))
        (self.directory / "registry.txt").touch()
        (self.directory / "registry.serial").write_text("1000\n")

    def _ca(self, *arguments):
        self.suite.openssl("ca", "-batch", "-config", "registry.cnf", *arguments)

    def certificate(self, name, subject, seconds=86400):
        """NAME.crt and NAME.key, valid for so many seconds from now."""
        self.suite.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                           "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        self._ca("-in", f"{name}.csr", "-out", f"{name}.crt", "-notext",
                 "-enddate", ends.strftime("%Y%m%d%H%M%SZ"))

    def withdraw(self, name):
        self._ca("-revoke", f"{name}.crt")

    def revocation_list(self, *arguments):
        """The list as PEM text."""
        self._ca("-gencrl", "-out", "ca.crl", *arguments)
        return (self.directory / "ca.crl").read_text()
