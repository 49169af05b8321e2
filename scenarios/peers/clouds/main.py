"""What clients that clouds publish themselves make of the fakes: boto3, google-auth, azure-identity; and OpenSSL of a document."""

import base64
import json
import os
import subprocess
import sys

url, trusted = sys.argv[1:3]
os.environ.update(
    AWS_EC2_METADATA_SERVICE_ENDPOINT=url,
    AWS_CONFIG_FILE="/dev/null",
    AWS_SHARED_CREDENTIALS_FILE="/dev/null",
    GCE_METADATA_HOST=url.removeprefix("http://"),
    GCE_METADATA_IP=url.removeprefix("http://"),
    AZURE_POD_IDENTITY_AUTHORITY_HOST=url,
)
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

import boto3  # noqa: E402
import google.auth.compute_engine  # noqa: E402
import google.auth.transport.requests  # noqa: E402
import jwt  # noqa: E402
import requests  # noqa: E402
from azure.identity import ManagedIdentityCredential  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402


def claims(token, name, algorithms, audience):
    """Verified by PyJWT, with the key set that an estate trusts."""
    with open(os.path.join(trusted, name)) as file:
        keys = {key["kid"]: jwt.PyJWK(key) for key in json.load(file)["keys"]}
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=algorithms, audience=audience)


def sts(**more):
    return boto3.client("sts", region_name="eu-central-2", endpoint_url=url, **more)


told = {}
caller = sts().get_caller_identity()
told["aws"] = {name: caller[name] for name in ("Arn", "UserId", "Account")}
keys = boto3.Session().get_credentials().get_frozen_credentials()
try:
    wrong = sts(aws_access_key_id=keys.access_key, aws_secret_access_key="guess", aws_session_token=keys.token)
    wrong.get_caller_identity()
except ClientError as refused:
    told["aws_wrong"] = refused.response["Error"]["Code"]
token = sts().get_web_identity_token(Audience=["countersign"], SigningAlgorithm="ES384", DurationSeconds=300)
told["aws_token"] = claims(token["WebIdentityToken"], "aws.jwks.json", ["ES384"], "countersign")

session = requests.put(url + "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}).text
headers = {"X-aws-ec2-metadata-token": session}
message = requests.get(url + "/latest/dynamic/instance-identity/rsa2048", headers=headers).text
verify = ["openssl", "cms", "-verify", "-inform", "DER", "-noverify", "-certfile", f"{trusted}/aws-eu-central-2.pem"]
document = subprocess.run(verify, input=base64.b64decode(message), capture_output=True, check=True).stdout
told["document"] = json.loads(document)

request = google.auth.transport.requests.Request()
credentials = google.auth.compute_engine.IDTokenCredentials(request, "countersign", use_metadata_identity_endpoint=True)
credentials.refresh(request)
told["google"] = claims(credentials.token, "google.jwks.json", ["RS256"], "countersign")

token = ManagedIdentityCredential().get_token("api://countersign/.default").token
told["azure"] = claims(token, "azure.jwks.json", ["RS256"], "api://countersign")
print(json.dumps(told))
