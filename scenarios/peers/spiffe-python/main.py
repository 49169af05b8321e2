"""A workload in Python, with py-spiffe as it is published. The Workload API is where SPIFFE_ENDPOINT_SOCKET says.

`main.py AUDIENCE COUNT` fetches, verifies, waits for COUNT different X.509-SVIDs, and does mutual TLS with itself."""

import datetime
import sys
import threading

from spiffe import JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, X509Source
from spiffetls import ClientTlsMode, ListenOptions, ServerTlsMode, dial, listen
from spiffetls.tlsconfig.authorize import authorize_id

LONG = 60


def x509(client):
    context = client.fetch_x509_context()
    for svid in context.x509_svids:
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        issuers = [one for one in bundle.x509_authorities if one.subject == svid.leaf.issuer]
        svid.leaf.verify_directly_issued_by(issuers[0])
        print("svid", svid.spiffe_id)
    for bundle in context.x509_bundle_set.bundles:
        print("bundle", bundle.trust_domain, len(bundle.x509_authorities))
    print("bundles", len(client.fetch_x509_bundles().bundles))


def jwt(client, audience):
    with JwtSource(client, timeout_in_seconds=LONG) as source:
        token = source.fetch_svid(audience={audience}).token
        domain = client.fetch_x509_svid().spiffe_id.trust_domain
        here = JwtSvid.parse_and_validate(token, source.get_bundle_for_trust_domain(domain), {audience})
    there = client.validate_jwt_svid(token, audience)
    print("jwt", here.spiffe_id, there.spiffe_id, *here.audience)
    print("another audience:", refused(lambda: client.validate_jwt_svid(token, "another")))


def rotation(source, count):
    updated = threading.Event()
    source.subscribe_for_updates(updated.set)
    seen = set()
    while True:
        updated.clear()
        leaf = source.get_x509_context().default_svid.leaf
        if leaf.not_valid_after_utc < datetime.datetime.now(datetime.timezone.utc):
            raise RuntimeError("an SVID that has ended")
        seen.add(leaf.serial_number)
        if len(seen) >= count:
            print("rotated", count)
            return
        if not updated.wait(LONG):
            raise RuntimeError("no other SVID")


def mtls(source):
    # a client of this library always has a certificate; the server asks for it
    own = source.get_x509_context().default_svid.spiffe_id
    options = ListenOptions(tls_mode=ServerTlsMode.MTLS, authorize_fn=authorize_id(own))
    listener = listen("127.0.0.1:0", source, options)

    def serve():
        connection, _ = listener.accept()
        connection.do_handshake()
        connection.sendall(b"hello")
        connection.shutdown()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    address = "127.0.0.1:%d" % listener.getsockname()[1]
    connection = dial(address, source, ClientTlsMode.TLS, authorize_id(own))
    print("mtls", connection.recv(5).decode(), own)
    server.join(LONG)
    threading.Thread(target=lambda: refused(serve), daemon=True).start()
    other = authorize_id(SpiffeId("spiffe://other.test/x"))
    print("another server:", refused(lambda: dial(address, source, ClientTlsMode.TLS, other)))


def refused(act):
    try:
        act()
        return "accepted"
    except Exception:
        return "refused"


def main():
    audience, count = sys.argv[1], int(sys.argv[2])
    with WorkloadApiClient() as client:
        x509(client)
        jwt(client, audience)
    with X509Source(timeout_in_seconds=LONG) as source:
        rotation(source, count)
        mtls(source)


main()
