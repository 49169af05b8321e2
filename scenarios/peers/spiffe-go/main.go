// A workload in Go, with go-spiffe as it is published: `x509`, `jwt AUDIENCE`, `token AUDIENCE`, `validate TOKEN AUDIENCE`, `signer`, `kid AUDIENCE`, `rotation N`, `watch`, `mtls`, `serve TRUST_DOMAIN`, `call ADDRESS ID`, `wit [ID]`, `wit-signer`, `broker SERVER-ID OWN-ID METHOD REFERENCE`. The Workload API is where SPIFFE_ENDPOINT_SOCKET says.
package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	switch os.Args[1] {
	case "x509":
		x509(ctx)
	case "jwt":
		jwt(ctx, os.Args[2])
	case "token":
		svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: os.Args[2]})
		must(err)
		fmt.Println(svid.Marshal())
	case "validate":
		found, err := workloadapi.ValidateJWTSVID(ctx, os.Args[2], os.Args[3])
		must(err)
		fmt.Println("valid", found.ID)
	case "rotation":
		count, err := strconv.Atoi(os.Args[2])
		must(err)
		rotation(ctx, count)
	case "signer":
		signer(ctx)
	case "kid":
		kid(ctx, os.Args[2])
	case "watch":
		watch(ctx)
	case "mtls":
		mtls(ctx)
	case "serve":
		serve(ctx, spiffeid.RequireTrustDomainFromString(os.Args[2]))
	case "call":
		call(ctx, os.Args[2], spiffeid.RequireFromString(os.Args[3]))
	case "wit":
		wit(ctx, strings.Join(os.Args[2:], ""))
	case "wit-signer":
		witSigner(ctx)
	case "broker":
		brokered(ctx, os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	}
}

// x509 fetches everything once, and verifies what it was given with what it was given.
func x509(ctx context.Context) {
	fetched, err := workloadapi.FetchX509Context(ctx)
	must(err)
	for _, svid := range fetched.SVIDs {
		chain := svid.Certificates
		id, _, err := x509svid.Verify(chain, fetched.Bundles)
		must(err)
		fmt.Println("svid", id, svid.Hint, chain[0].DNSNames)
	}
	for _, bundle := range fetched.Bundles.Bundles() {
		fmt.Println("bundle", bundle.TrustDomain(), len(bundle.X509Authorities()))
	}
	bundles, err := workloadapi.FetchX509Bundles(ctx)
	must(err)
	fmt.Println("bundles", bundles.Len())
}

func jwt(ctx context.Context, audience string) {
	svids, err := workloadapi.FetchJWTSVIDs(ctx, jwtsvid.Params{Audience: audience})
	must(err)
	bundles, err := workloadapi.FetchJWTBundles(ctx)
	must(err)
	for _, svid := range svids {
		here, err := jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{audience})
		must(err)
		there, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), audience)
		must(err)
		fmt.Println("jwt", here.ID, there.ID, here.Audience, here.Expiry.Sub(time.Now()) > 0)
	}
	_, err = workloadapi.ValidateJWTSVID(ctx, svids[0].Marshal(), "another")
	fmt.Println("another audience:", err)
}

// signer says which key signed the SVID.
func signer(ctx context.Context) {
	svid, err := workloadapi.FetchX509SVID(ctx)
	must(err)
	fmt.Printf("%x\n", svid.Certificates[0].AuthorityKeyId)
}

// kid says which key signed a token.
func kid(ctx context.Context, audience string) {
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	must(err)
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(svid.Marshal(), ".")[0])
	must(err)
	fmt.Println(string(header))
}

// rotation watches until there were so many different SVIDs.
func rotation(ctx context.Context, count int) {
	source, err := workloadapi.NewX509Source(ctx)
	must(err)
	defer source.Close()
	seen := map[string]bool{}
	for {
		svid, err := source.GetX509SVID()
		must(err)
		serial := svid.Certificates[0].SerialNumber.String()
		if !seen[serial] {
			seen[serial] = true
			if time.Now().After(svid.Certificates[0].NotAfter) {
				panic("an SVID that has ended")
			}
			fmt.Println("svid", len(seen), svid.ID)
		}
		if len(seen) == count {
			return
		}
		must(source.WaitUntilUpdated(ctx))
	}
}

// watch prints whatever it is given, and why it is given nothing.
func watch(ctx context.Context) {
	client, err := workloadapi.New(ctx)
	must(err)
	defer client.Close()
	must(client.WatchX509Context(ctx, watcher{}))
}

type watcher struct{}

func (watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	ids := []string{}
	for _, svid := range update.SVIDs {
		ids = append(ids, svid.ID.String())
	}
	say(fmt.Sprint("svids ", ids))
}

func (watcher) OnX509ContextWatchError(err error) {
	if code := status.Code(err); code != codes.Unavailable {
		say(code.String())
	}
}

var said string

// say prints what was not said last: whoever asks again in vain says so once.
func say(line string) {
	if line != said {
		said = line
		fmt.Println(line)
	}
}

// mtls is server and client at once, each of them known by what the Workload API gave it.
func mtls(ctx context.Context) {
	source, err := workloadapi.NewX509Source(ctx)
	must(err)
	defer source.Close()
	own, err := source.GetX509SVID()
	must(err)
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeMemberOf(own.ID.TrustDomain()))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(err)
	go func() {
		for {
			connection, err := listener.Accept()
			must(err)
			secured := connection.(*tls.Conn)
			if secured.Handshake() == nil {
				peer, err := x509svid.IDFromCert(secured.ConnectionState().PeerCertificates[0])
				must(err)
				fmt.Fprintf(connection, "hello %s\n", peer)
			}
			connection.Close()
		}
	}()
	client := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(own.ID))
	connection, err := tls.Dial("tcp", listener.Addr().String(), client)
	must(err)
	said, err := io.ReadAll(connection)
	must(err)
	fmt.Print("mtls ", string(said))
	stranger := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(spiffeid.RequireFromString("spiffe://other.test/x")))
	_, err = tls.Dial("tcp", listener.Addr().String(), stranger)
	fmt.Println("another server:", err != nil)
}

// serve greets members of another trust domain until it is ended; it says where, and then whom it greeted.
func serve(ctx context.Context, of spiffeid.TrustDomain) {
	source, err := workloadapi.NewX509Source(ctx)
	must(err)
	defer source.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeMemberOf(of)))
	must(err)
	fmt.Println(listener.Addr())
	for {
		connection, err := listener.Accept()
		must(err)
		secured := connection.(*tls.Conn)
		if secured.Handshake() == nil {
			peer, err := x509svid.IDFromCert(secured.ConnectionState().PeerCertificates[0])
			must(err)
			fmt.Fprintf(connection, "hello %s\n", peer)
		}
		connection.Close()
	}
}

// call says how a server of another trust domain greets, or why nobody does.
func call(ctx context.Context, address string, id spiffeid.ID) {
	source, err := workloadapi.NewX509Source(ctx)
	must(err)
	defer source.Close()
	connection, err := tls.Dial("tcp", address, tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(id)))
	must(err)
	said, err := io.ReadAll(connection)
	must(err)
	fmt.Print(string(said))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
