#!/bin/sh
# Makes the signed documents beside it anew, by OpenSSL: a reader must not be tested by a writer of the same hand. Keys are thrown away.
set -eu
cd "$(dirname "$0")"
keys=$(mktemp -d)
trap 'rm -r "$keys"' EXIT

certificate() { # NAME KEY-OPTIONS…
    name=$1; shift
    openssl req -x509 -newkey "$@" -nodes -keyout "$keys/$name.key" -out "$keys/$name.pem" -days 36500 -subj "/C=US/ST=Washington State/L=Seattle/O=Sample Web Services LLC" 2>/dev/null
    openssl x509 -in "$keys/$name.pem" -outform DER -out "$name.der"
}
certificate eu-central-2 rsa:2048
certificate us-east-1 rsa:2048
certificate weak rsa:1024
certificate elliptic ec -pkeyopt ec_paramgen_curve:prime256v1

cat > document.json <<'END'
{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "availabilityZone" : "eu-central-2b",
  "billingProducts" : null,
  "devpayProductCodes" : null,
  "marketplaceProductCodes" : null,
  "imageId" : "ami-5fb8c835",
  "instanceId" : "i-0b22a22eec53b9321",
  "instanceType" : "m7g.large",
  "kernelId" : null,
  "pendingTime" : "2026-11-02T08:15:09Z",
  "privateIp" : "10.158.112.84",
  "ramdiskId" : null,
  "region" : "eu-central-2",
  "version" : "2017-09-30"
}
END
sed 's/"region" : "eu-central-2"/"region" : "us-east-1"/' document.json > "$keys/elsewhere.json"
sed 's/"region"/"accountId" : "210987654321", "region"/' document.json > "$keys/twice.json"

sign() { # NAME DOCUMENT OPTIONS…
    name=$1; document=$2; shift 2
    openssl cms -sign -binary -in "$document" -outform DER -out "$name.cms" -md sha256 "$@"
}
as() { echo "-signer $keys/$1.pem -inkey $keys/$1.key"; }
# as Amazon does: in BER, of lengths that are not said, and without the certificate
sign sound document.json $(as eu-central-2) -nodetach -nocerts -stream
sign in-der document.json $(as eu-central-2) -nodetach
sign of-other-region document.json $(as us-east-1) -nodetach -nocerts -stream
sign elsewhere "$keys/elsewhere.json" $(as eu-central-2) -nodetach -nocerts -stream
sign twice "$keys/twice.json" $(as eu-central-2) -nodetach -nocerts -stream
sign two-signers document.json $(as us-east-1) $(as eu-central-2) -nodetach -nocerts
sign detached document.json $(as eu-central-2) -nocerts
sign no-attributes document.json $(as eu-central-2) -nodetach -nocerts -noattr
sign by-sha512 document.json $(as eu-central-2) -nodetach -nocerts -md sha512
sign by-weak document.json $(as weak) -nodetach -nocerts
sign by-elliptic document.json $(as elliptic) -nodetach -nocerts
