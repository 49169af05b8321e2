package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/exp/proto/spiffe/broker"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// brokered asks the Broker API, which is where SPIFFE_BROKER_SOCKET says, as one of its own SVIDs: `x509`, `x509-bundles`, `jwt`
// or `jwt-bundles`, once or (`watch`) until it is told no more.
func brokered(ctx context.Context, server, as, method, reference string) {
	own := func(svids []*x509svid.SVID) *x509svid.SVID {
		for _, svid := range svids {
			if svid.ID.String() == as {
				return svid
			}
		}
		return svids[0]
	}
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithDefaultX509SVIDPicker(own))
	must(err)
	defer source.Close()
	config := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(spiffeid.RequireFromString(server)))
	if as == "nobody" {
		config = tlsconfig.TLSClientConfig(source, tlsconfig.AuthorizeID(spiffeid.RequireFromString(server)))
	}
	connection, err := grpc.NewClient(os.Getenv("SPIFFE_BROKER_SOCKET"), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	must(err)
	defer connection.Close()
	if method != "bare" {
		ctx = metadata.AppendToOutgoingContext(ctx, "broker.spiffe.io", "true")
	}
	client := broker.NewAPIClient(connection)
	workload := meant(reference)
	switch method {
	case "x509", "watch", "bare":
		stream, err := client.SubscribeToX509SVID(ctx, &broker.SubscribeToX509SVIDRequest{Reference: workload})
		refused(err)
		for {
			message, err := stream.Recv()
			refused(err)
			ids := []string{}
			for _, one := range message.Svids {
				svid, err := x509svid.ParseRaw(one.X509Svid, one.X509SvidKey)
				must(err)
				ids = append(ids, strings.TrimSpace(svid.ID.String()+" "+one.Hint))
			}
			say(fmt.Sprint("svids ", ids))
			if method == "x509" {
				return
			}
		}
	case "x509-bundles":
		stream, err := client.SubscribeToX509Bundles(ctx, &broker.SubscribeToX509BundlesRequest{Reference: workload})
		refused(err)
		message, err := stream.Recv()
		refused(err)
		for domain, der := range message.Bundles {
			fmt.Println("bundle", domain, len(der) > 0)
		}
	case "jwt":
		message, err := client.FetchJWTSVID(ctx, &broker.FetchJWTSVIDRequest{Reference: workload, Audience: []string{"billing"}})
		refused(err)
		bundles, err := workloadapi.FetchJWTBundles(ctx)
		must(err)
		for _, one := range message.Svids {
			svid, err := jwtsvid.ParseAndValidate(one.Svid, bundles, []string{"billing"})
			must(err)
			fmt.Println("jwt", svid.ID)
		}
	case "jwt-bundles":
		stream, err := client.SubscribeToJWTBundles(ctx, &broker.SubscribeToJWTBundlesRequest{Reference: workload})
		refused(err)
		message, err := stream.Recv()
		refused(err)
		for domain, document := range message.Bundles {
			bundle, err := jwtbundle.Parse(spiffeid.RequireTrustDomainFromString(domain), document)
			must(err)
			fmt.Println("bundle", domain, len(bundle.JWTAuthorities()), strings.Contains(string(document), "use"))
		}
	}
}

// meant is `pid:N`, `pod:NAMESPACE/NAME`, `uid:UID`, `pod:NAMESPACE/NAME#UID`, `plural:NAME`, `unknown` or `none`.
func meant(reference string) *broker.WorkloadReference {
	kind, value, _ := strings.Cut(reference, ":")
	pods := &broker.KubernetesObjectType{Plural: "pods", Group: "core"}
	var message proto.Message
	switch kind {
	case "none":
		return nil
	case "unknown":
		message = wrapperspb.Int32(7)
	case "pid":
		pid, err := strconv.Atoi(value)
		must(err)
		message = &broker.WorkloadPIDReference{Pid: int32(pid)}
	case "pod":
		key, uid, _ := strings.Cut(value, "#")
		namespace, name, _ := strings.Cut(key, "/")
		message = &broker.KubernetesObjectReference{Type: pods, Key: &broker.KubernetesObjectKey{Namespace: namespace, Name: name}, Uid: uid}
	case "uid":
		message = &broker.KubernetesObjectReference{Type: pods, Uid: value}
	case "plural":
		key := &broker.KubernetesObjectKey{Namespace: "shop", Name: "checkout"}
		message = &broker.KubernetesObjectReference{Type: &broker.KubernetesObjectType{Plural: value, Group: "core"}, Key: key}
	}
	packed, err := anypb.New(message)
	must(err)
	return &broker.WorkloadReference{Reference: packed}
}

// refused says why nothing more comes, in codes and reasons, and ends.
func refused(err error) {
	if err == nil {
		return
	}
	if err == io.EOF {
		fmt.Println("ended")
		os.Exit(1)
	}
	said := status.Convert(err)
	reasons := []string{}
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			reasons = append(reasons, info.Domain+" "+info.Reason)
		}
	}
	fmt.Println(said.Code(), reasons, said.Message())
	os.Exit(1)
}
