"""What is beside the Workload API at an agent's socket, by gRPC's own clients and Envoy's own definitions.

stream, fetch, delta: discovery requests as JSON, one a line in; answers as JSON, one a line out
health SERVICE, watch SERVICE: how a service is, or becomes
services: which services reflection names, and the fields of one message
flood COUNT: opens so many streams, then another
"""
import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_spiffe_validator_config_pb2
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.secret.v3 import sds_pb2_grpc

WITHIN = 20


def say(what):
    print(json.dumps(what), flush=True)


def requests(kind):
    for line in sys.stdin:
        yield json_format.Parse(line, kind())


def plain(data):
    return data.inline_bytes.decode()


def secret(resource):
    found = secret_pb2.Secret()
    assert resource.Unpack(found), resource.type_url
    told = {"name": found.name}
    if found.HasField("tls_certificate"):
        told["chain"] = plain(found.tls_certificate.certificate_chain)
        told["key"] = plain(found.tls_certificate.private_key)
    if found.validation_context.HasField("trusted_ca"):
        told["trusted"] = plain(found.validation_context.trusted_ca)
    if found.validation_context.HasField("custom_validator_config"):
        validator = found.validation_context.custom_validator_config
        config = tls_spiffe_validator_config_pb2.SPIFFECertValidatorConfig()
        assert validator.typed_config.Unpack(config), validator
        domains = {domain.name: plain(domain.trust_bundle) for domain in config.trust_domains}
        told["validator"], told["domains"] = validator.name, domains
    return told


def told(answer):
    return {
        "version": answer.version_info,
        "nonce": answer.nonce,
        "type": answer.type_url,
        "secrets": [secret(resource) for resource in answer.resources],
    }


def services(channel):
    kind = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    call = channel.stream_stream(
        kind,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    ask = reflection_pb2.ServerReflectionRequest
    asked = [ask(list_services=""), ask(file_containing_symbol="SpiffeWorkloadAPI")]
    listed, described = call(iter(asked), timeout=WITHIN)
    file = descriptor_pb2.FileDescriptorProto.FromString(
        described.file_descriptor_response.file_descriptor_proto[0])
    methods = [method.name for method in file.service[0].method]
    say({"services": sorted(service.name for service in listed.list_services_response.service), "methods": methods})


def flood(connect, count):
    """Over several connections: one has at most a hundred streams."""
    ask = discovery_pb2.DiscoveryRequest(resource_names=["ROOTCA"])
    asking = threading.Event()

    def forever():
        yield ask
        asking.wait()

    stubs = [sds_pb2_grpc.SecretDiscoveryServiceStub(connect()) for _ in range(count // 64 + 1)]
    open_streams = [stubs[nth // 64].StreamSecrets(forever()) for nth in range(count)]
    for stream in open_streams:
        next(stream)
    say({"open": len(open_streams)})
    try:
        stubs[-1].FetchSecrets(ask, timeout=WITHIN)
    finally:
        asking.set()


def main(socket, what, *rest):
    def connect():
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(f"unix:{socket}", options)

    with connect() as channel:
        secrets, health = sds_pb2_grpc.SecretDiscoveryServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service=rest[0] if rest else "")
        status = health_pb2.HealthCheckResponse.ServingStatus
        try:
            if what == "stream":
                for answer in secrets.StreamSecrets(requests(discovery_pb2.DiscoveryRequest)):
                    say(told(answer))
            elif what == "fetch":
                for request in requests(discovery_pb2.DiscoveryRequest):
                    say(told(secrets.FetchSecrets(request, timeout=WITHIN)))
            elif what == "delta":
                next(secrets.DeltaSecrets(requests(discovery_pb2.DeltaDiscoveryRequest), timeout=WITHIN))
            elif what == "health":
                say({"status": status.Name(health.Check(asked, timeout=WITHIN).status)})
            elif what == "watch":
                for answer in health.Watch(asked):
                    say({"status": status.Name(answer.status)})
            elif what == "services":
                services(channel)
            elif what == "flood":
                flood(connect, int(rest[0]))
            else:
                raise SystemExit(__doc__)
            say({"code": "OK"})
        except grpc.RpcError as error:
            say({"code": error.code().name, "details": error.details()})


main(*sys.argv[1:])
