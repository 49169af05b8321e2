package main

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/exp/svid/witsvid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// wit fetches WIT-SVIDs, verifies them with the bundles that it was given, and tries each kind of token as the other one.
func wit(ctx context.Context, id string) {
	svids, err := workloadapi.FetchWITSVIDs(ctx, id)
	must(err)
	bundles, err := workloadapi.FetchWITBundles(ctx)
	must(err)
	jwts, err := workloadapi.FetchJWTBundles(ctx)
	must(err)
	for _, svid := range svids {
		here, err := witsvid.ParseAndValidate(svid.Marshal(), bundles)
		must(err)
		key := svid.PrivateKey.(*ecdsa.PrivateKey)
		fmt.Println("wit", here.ID, svid.Hint, key.PublicKey.Equal(here.PublicKey), here.Expiry.Sub(time.Now()) > 0)
		_, err = jwtsvid.ParseAndValidate(svid.Marshal(), jwts, []string{"billing"})
		fmt.Println("a JWT-SVID here:", err == nil)
		_, err = workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "billing")
		fmt.Println("a JWT-SVID there:", err)
	}
	bearer, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "billing"})
	must(err)
	_, err = witsvid.ParseAndValidate(bearer.Marshal(), bundles)
	fmt.Println("a WIT-SVID:", err == nil)
	for _, bundle := range bundles.Bundles() {
		both := 0
		for _, of := range jwts.Bundles() {
			for kid := range of.JWTAuthorities() {
				if bundle.HasWITAuthority(kid) {
					both++
				}
			}
		}
		fmt.Println("bundle", bundle.TrustDomain(), len(bundle.WITAuthorities()), "of both", both)
	}
}

// witSigner says which key signed the WIT-SVID.
func witSigner(ctx context.Context) {
	svid, err := workloadapi.FetchWITSVID(ctx, "")
	must(err)
	fmt.Println(svid.KeyID)
}
