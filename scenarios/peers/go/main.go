// Asks a gateway as a Go service would: net/http with a client certificate, over HTTP/1.1 and HTTP/2. Standard library only.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

func main() {
	url, ca, cert, key := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	pem, err := os.ReadFile(ca)
	must(err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		panic("no CA")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(err)
	for _, http2 := range []bool{false, true} {
		config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "billing.acme.test"}
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2}
		if !http2 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		client := &http.Client{Transport: transport}
		ask := func(method, path, body string) string {
			request, err := http.NewRequest(method, url+path, strings.NewReader(body))
			must(err)
			request.Host = "billing.acme.test"
			answer, err := client.Do(request)
			must(err)
			text, err := io.ReadAll(answer.Body)
			must(err)
			return fmt.Sprintf("%s %s %d %s", answer.Proto, path, answer.StatusCode, strings.TrimSpace(string(text)))
		}
		fmt.Println(ask("GET", "/export", ""))
		fmt.Println(ask("POST", "/invoices", strings.Repeat("x", 1<<20))[:30])
		var group sync.WaitGroup
		for i := 0; i < 50; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				if told := ask("GET", "/invoices/1", ""); !strings.Contains(told, " 200 ") {
					panic(told)
				}
			}()
		}
		group.Wait()
		fmt.Println("50 at once")
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
