"""TLS of the internal HTTP listener, and who a client certificate names."""

import ssl
from collections.abc import Mapping
from typing import Any

from cheroot.errors import FatalSSLAlert
from cheroot.makefile import MakeFile
from cheroot.ssl import Adapter
from cryptography import x509
from cryptography.x509.oid import NameOID

from number_verification.listener_settings import TlsSettings


class TlsAdapter(Adapter):
    """Wraps connections. The handshake is left to the thread that will read: cheroot's own would block all accepting.

    Args:
        settings: the certificate, and whose client certificates are believed.
    """

    def __init__(self, settings: TlsSettings) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings.certificate, settings.key)
        context.set_alpn_protocols(["http/1.1"])
        # A resumed session would let a certificate in that has expired since.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
            required = settings.require_client_certificate
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        self.context = context

    def bind(self, sock: Any) -> Any:
        """The listening socket stays as it is."""
        return sock

    def wrap(self, sock: Any) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        """A connection before its handshake, of which nothing is known yet."""
        try:
            return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), {}
        except OSError as error:
            raise FatalSSLAlert(*error.args) from None  # gone already

    def get_environ(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        """Connections make their own."""
        return MakeFile(sock, mode, bufsize)


def auth_context(certificate: bytes | None) -> Mapping[str, list[bytes]]:
    """The names in a verified client certificate, as gRPC has them in its auth context.

    Args:
        certificate: in DER; None where the client sent none.
    """
    if certificate is None:
        return {}
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        common = [str(each.value) for each in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        alternative = _alternative_names(parsed)
    except ValueError:
        return {}  # what cannot be read names nobody
    return {
        "x509_common_name": [name.encode() for name in common],
        "x509_subject_alternative_name": [name.encode() for name in alternative],
    }


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *names.get_values_for_type(x509.RFC822Name),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]
