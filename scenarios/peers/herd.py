"""An agent that asks control for more than is its part, by gRPC's own client and the SVID that the agent keeps.

ADDRESS FOLDER COUNT: so many requests at once, each with 500 orders; the status of each, one a line out
"""
import pathlib
import sys

import grpc

WITHIN = 20
ORDERS = b"\x0a\x00" * 500  # field 1, empty: each is judged, and nothing is minted


def main():
    address, folder, count = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    read = lambda name: (folder / name).read_bytes()
    own = grpc.ssl_channel_credentials(read("bundle.pem"), read("svid.key"), read("svid.pem"))
    with grpc.secure_channel(address, own) as channel:
        mint = channel.unary_unary("/countersign.agent.v1.ControlPlane/MintX509")
        for asked in [mint.future(ORDERS, timeout=WITHIN) for _ in range(count)]:
            code = asked.code()
            print(code.name, "" if code is grpc.StatusCode.OK else asked.details())


main()
