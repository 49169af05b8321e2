"""Mints tokens with an independent library. One JSON document a line in, one out; ends with its input."""
import base64
import hashlib
import hmac
import json
import sys

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HASH = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVE = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48), "ES512": (ec.SECP521R1, "P-521", 66)}
KEYS = {}


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


def key(ask):
    alg, kid = ask["alg"], ask["kid"]
    if alg[:2] in ("RS", "PS"):
        private = rsa.generate_private_key(65537, 2048)
        public = private.public_key().public_numbers()
        jwk = {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
    elif alg[:2] == "ES":
        curve, name, size = CURVE[alg]
        private = ec.generate_private_key(curve())
        public = private.public_key().public_numbers()
        jwk = {"kty": "EC", "crv": name, "x": number(public.x, size), "y": number(public.y, size)}
    else:
        private = ed25519.Ed25519PrivateKey.generate()
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
    KEYS[ask["name"]] = private
    jwk.update(use="sig", alg=alg)
    if kid is not None:
        jwk["kid"] = kid
    return {"jwk": jwk}


def mint(ask):
    return {"token": jwt.encode(ask["claims"], KEYS[ask["key"]], algorithm=ask["alg"], headers=ask["headers"])}


def sign(ask):
    private, (alg, _, form), data = KEYS[ask["key"]], ask["alg"].partition("/"), ask["signed"].encode("latin-1")
    digest = HASH.get(alg[2:], hashes.SHA256)()
    if alg[:2] == "RS":
        made = private.sign(data, padding.PKCS1v15(), digest)
    elif alg[:2] == "PS":
        made = private.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    elif alg[:2] == "ES":
        made = private.sign(data, ec.ECDSA(digest))
        if form != "der":
            size = (private.key_size + 7) // 8
            made = b"".join(n.to_bytes(size, "big") for n in decode_dss_signature(made))
    elif alg[:2] == "HS":
        encoding = {"pem": serialization.Encoding.PEM, "der": serialization.Encoding.DER}
        if form in encoding:
            secret = private.public_key().public_bytes(encoding[form], serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            secret = form.encode()
        made = hmac.new(secret, data, getattr(hashlib, "sha" + alg[2:])).digest()
    else:
        made = private.sign(data)
    return {"signature": b64(made)}


for line in sys.stdin:
    try:
        asked = json.loads(line)
        answer = {"key": key, "mint": mint, "sign": sign}[asked["do"]](asked)
    except Exception as error:  # whatever it is, the test that asked has to see it
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
