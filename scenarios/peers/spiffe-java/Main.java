import io.spiffe.provider.SpiffeSslContextFactory;
import io.spiffe.provider.SpiffeSslContextFactory.SslContextOptions;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/**
 * A workload in Java, with java-spiffe as it is published. The Workload API is where SPIFFE_ENDPOINT_SOCKET says.
 *
 * <p>{@code Main AUDIENCE COUNT} fetches, verifies, waits for COUNT different X.509-SVIDs, and does mutual TLS with itself.
 */
public final class Main {
    private static final long LONG = 60;

    public static void main(String[] args) throws Exception {
        try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
            x509(client);
            jwt(client, args[0]);
            rotation(client, Integer.parseInt(args[1]));
        }
        try (DefaultX509Source source = DefaultX509Source.newSource()) {
            mtls(source);
        }
        // threads of the library may wait for a peer that has gone
        System.exit(0);
    }

    private static void x509(WorkloadApiClient client) throws Exception {
        X509Context context = client.fetchX509Context();
        for (var svid : context.getX509Svids()) {
            X509SvidValidator.verifyChain(svid.getChain(), context.getX509BundleSet());
            System.out.println("svid " + svid.getSpiffeId());
        }
        for (var bundle : context.getX509BundleSet().getBundles().values()) {
            System.out.println("bundle " + bundle.getTrustDomain() + " " + bundle.getX509Authorities().size());
        }
        System.out.println("bundles " + client.fetchX509Bundles().getBundles().size());
    }

    private static void jwt(WorkloadApiClient client, String audience) throws Exception {
        String token = client.fetchJwtSvid(audience).getToken();
        JwtSvid here = JwtSvid.parseAndValidate(token, client.fetchJwtBundles(), Set.of(audience));
        JwtSvid there = client.validateJwtSvid(token, audience);
        String audiences = String.join(" ", here.getAudience());
        System.out.println("jwt " + here.getSpiffeId() + " " + there.getSpiffeId() + " " + audiences);
        System.out.println("another audience: " + word(() -> client.validateJwtSvid(token, "another")));
    }

    private static void rotation(WorkloadApiClient client, int count) throws Exception {
        Set<BigInteger> seen = new HashSet<>();
        CompletableFuture<Void> rotated = new CompletableFuture<>();
        client.watchX509Context(new Watcher<>() {
            @Override
            public void onUpdate(X509Context context) {
                try {
                    var leaf = context.getDefaultSvid().getLeaf();
                    leaf.checkValidity();
                    seen.add(leaf.getSerialNumber());
                    if (seen.size() >= count) {
                        rotated.complete(null);
                    }
                } catch (Exception ended) {
                    rotated.completeExceptionally(ended);
                }
            }

            @Override
            public void onError(Throwable error) {
                rotated.completeExceptionally(error);
            }
        });
        rotated.get(LONG, TimeUnit.SECONDS);
        System.out.println("rotated " + count);
    }

    private static void mtls(DefaultX509Source source) throws Exception {
        SpiffeId own = source.getX509Svid().getSpiffeId();
        var factory = context(source, own).getServerSocketFactory();
        var listener = (SSLServerSocket) factory.createServerSocket(0, 5, InetAddress.getLoopbackAddress());
        listener.setNeedClientAuth(true);
        Thread server = new Thread(() -> {
            while (true) {
                try (SSLSocket connection = (SSLSocket) listener.accept()) {
                    connection.startHandshake();
                    connection.getOutputStream().write("hello".getBytes());
                } catch (Exception refused) {
                    // the next one may be let in
                }
            }
        });
        server.setDaemon(true);
        server.start();
        System.out.println("mtls " + dial(source, own, listener.getLocalPort()) + " " + own);
        SpiffeId other = SpiffeId.parse("spiffe://other.test/x");
        System.out.println("another server: " + word(() -> dial(source, other, listener.getLocalPort())));
    }

    private static String dial(DefaultX509Source source, SpiffeId server, int port) throws Exception {
        var factory = context(source, server).getSocketFactory();
        try (SSLSocket socket = (SSLSocket) factory.createSocket(InetAddress.getLoopbackAddress(), port)) {
            socket.startHandshake();
            return new String(socket.getInputStream().readAllBytes());
        }
    }

    private static SSLContext context(DefaultX509Source source, SpiffeId accepted) throws Exception {
        var options = SslContextOptions.builder().x509Source(source).acceptedSpiffeIdsSupplier(() -> Set.of(accepted));
        return SpiffeSslContextFactory.getSslContext(options.build());
    }

    private static String word(Callable<?> act) {
        try {
            act.call();
            return "accepted";
        } catch (Exception refused) {
            return "refused";
        }
    }
}
