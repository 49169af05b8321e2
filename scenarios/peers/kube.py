"""The official client of Kubernetes against an API server: URL, CA file and the admin's token. It does what a cluster's operator, its kubelet and
a reviewer do, and prints what it saw as JSON."""

import json
import sys

from kubernetes import client
from kubernetes.client.rest import ApiException

url, ca, token = sys.argv[1:]
configuration = client.Configuration(host=url)
configuration.ssl_ca_cert = ca
configuration.api_key = {"authorization": "Bearer " + token}
configuration.retries = False
api = client.ApiClient(configuration)
core, authentication = client.CoreV1Api(api), client.AuthenticationV1Api(api)
NAMESPACE = "edge"


def named(name, **more):
    return client.V1ObjectMeta(name=name, **more)


def review(bearer, audience):
    spec = client.V1TokenReviewSpec(token=bearer, audiences=[audience])
    status = authentication.create_token_review(client.V1TokenReview(spec=spec)).status
    extra = status.user.extra or {}
    return {"authenticated": bool(status.authenticated), "audiences": status.audiences, "user": status.user.username,
            "node": extra.get("authentication.kubernetes.io/node-uid")}


node = core.create_node(client.V1Node(metadata=named("worker-1", labels={"zone": "b"})))
core.create_namespaced_service_account(NAMESPACE, client.V1ServiceAccount(metadata=named("agent")))
spec = client.V1PodSpec(service_account_name="agent", node_name="worker-1", containers=[client.V1Container(name="c")])
pod = core.create_namespaced_pod(NAMESPACE, client.V1Pod(metadata=named("agent-y"), spec=spec))
bound = client.V1BoundObjectReference(kind="Pod", api_version="v1", name="agent-y", uid=pod.metadata.uid)
request = client.AuthenticationV1TokenRequest(
    spec=client.V1TokenRequestSpec(audiences=["countersign"], expiration_seconds=3600, bound_object_ref=bound))
bearer = core.create_namespaced_service_account_token("agent", NAMESPACE, request).status.token
seen = {"node": node.metadata.uid, "label": core.read_node("worker-1").metadata.labels["zone"],
        "pods": [one.metadata.name for one in core.list_namespaced_pod(NAMESPACE).items],
        "ours": review(bearer, "countersign"), "others": review(bearer, "vault")}
core.delete_namespaced_pod("agent-y", NAMESPACE)
seen["gone"] = review(bearer, "countersign")
try:
    core.read_namespaced_pod("agent-y", NAMESPACE)
except ApiException as refused:
    seen["reason"] = json.loads(refused.body)["reason"]
print(json.dumps(seen))
