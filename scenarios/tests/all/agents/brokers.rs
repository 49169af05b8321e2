//! Brokers, by go-spiffe's definitions of the Broker API: who is listed is handed what workloads of the node would be handed
//! themselves, and nobody else anything.

use std::process::{Child, Command};

use super::watching::Watching;
use super::{STRANGER, own_uid, registration};
use crate::harness::{Estate, FileServer, Installation, Ran, Sockets, command, end, finish};

const SERVER: &str = "spiffe://prod.acme.test/countersign/agent/node-1";
const MESH: &str = "spiffe://prod.acme.test/mesh";
const WEB: &str = "spiffe://prod.acme.test/web";

/// A node whose processes of this user are `mesh` and `web`, and whose settings list `mesh`, if it may name anybody.
struct Brokered {
    sockets: Sockets,
    installation: Installation,
}

/// A process that is ended when dropped.
struct Process(Child);

impl Process {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("it starts"))
    }

    fn sleeping() -> Self {
        Self::start(command("sleep".as_ref(), &["60"]))
    }

    fn reference(&self) -> String {
        format!("pid:{}", self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

impl Brokered {
    /// `references` is what `mesh` may name, `more` what stands in the settings beside.
    fn start(references: &str, more: &str, registered: &str) -> Self {
        let estate = Estate::empty().document(&registration("mesh", own_uid(), "")).document(&registration(
            "web",
            own_uid(),
            "  hint: internal\n",
        ));
        let estate = if registered.is_empty() { estate } else { estate.document(registered) };
        let (sockets, mut installation) = (Sockets::new(), Installation::laid_out("production", "prod.acme.test"));
        let socket = sockets.of("broker");
        let listed = format!("[{{id: {MESH}, references: {references}}}]");
        let broker = format!("incubating: [broker]\nbroker: {{socket: {}, brokers: {listed}}}\n", socket.display());
        installation.edit("agent.yaml", &[("environment: ", &format!("{broker}{more}environment: "))]);
        installation.start("server");
        installation.apply(&estate, &[]).ended(0);
        installation.join(&sockets, "node-1");
        Self { sockets, installation }
    }

    fn command(&self, server: &str, own: &str, method: &str, reference: &str) -> Command {
        let mut command = self.sockets.go_command("node-1", &["broker", server, own, method, reference]);
        command.env("SPIFFE_BROKER_SOCKET", format!("unix://{}", self.sockets.of("broker").display()));
        command
    }

    fn ask(&self, method: &str, reference: &str) -> Ran {
        finish(self.command(SERVER, MESH, method, reference), b"")
    }

    fn watch(&self, reference: &str) -> Watching {
        Watching::start(self.command(SERVER, MESH, "watch", reference))
    }

    /// What it is refused with.
    #[track_caller]
    fn refused(&self, method: &str, reference: &str, words: &str) {
        assert_eq!(self.ask(method, reference).ended(1).out, format!("{words}\n"));
    }
}

#[test]
fn a_broker_is_handed_what_is_for_a_process_as_long_as_that_lives() {
    let node = Brokered::start("[pid]", "", "");
    let workload = Process::sleeping();
    let it = workload.reference();
    assert_eq!(node.ask("x509", &it).ended(0).out, format!("svids [{MESH} {WEB} internal]\n"));
    assert_eq!(node.ask("x509-bundles", &it).ended(0).out, "bundle spiffe://prod.acme.test true\n");
    assert_eq!(node.ask("jwt", &it).ended(0).out, format!("jwt {MESH}\njwt {WEB}\n"));
    assert_eq!(node.ask("jwt-bundles", &it).ended(0).out, "bundle spiffe://prod.acme.test 1 false\n");
    let watching = node.watch(&it);
    assert_eq!(watching.line(), format!("svids [{MESH} {WEB} internal]"));
    drop(workload);
    assert_eq!(watching.line(), "NotFound [spiffe.io WORKLOAD_NOT_FOUND] the workload is no more");
    node.refused("x509", &it, "NotFound [spiffe.io WORKLOAD_NOT_FOUND] there is no such process");
    node.installation.until_logged("node-1", "a broker asks for a workload");
}

#[test]
fn what_a_reference_does_not_mean_is_refused_with_a_reason() {
    let node = Brokered::start("[pid, kubernetes]", "", "");
    let invalid = |reference: &str, words: &str| {
        for method in ["x509", "x509-bundles", "jwt", "jwt-bundles"] {
            node.refused(method, reference, &format!("InvalidArgument [spiffe.io WORKLOAD_REFERENCE_INVALID] {words}"));
        }
    };
    invalid("none", "a request names exactly one workload: there is no reference");
    invalid("unknown", "a reference of type `type.googleapis.com/google.protobuf.Int32Value` is not understood here");
    for pid in ["0", "-7"] {
        invalid(&format!("pid:{pid}"), &format!("`{pid}` is no number of a process: expected a positive one"));
    }
    invalid("plural:nodes", "this agent knows the pods of its node, and no other object of Kubernetes");
    invalid(
        "plural:",
        "an object of Kubernetes is named by `plural` and `group` of its type: for pods, `pods` and `core`",
    );
    invalid("uid:", "an object of Kubernetes is named by `key`, by `uid`, or by both");
    invalid("uid:not-one", "`uid` is no UID as Kubernetes gives them");
    invalid("pod:/checkout", "the key of a pod has `namespace` and `name`, of 1 to 253 bytes each");
    invalid("pod:shop/checkout", "the settings name no kubelet");
    if own_uid() == 0 {
        let user = STRANGER.to_string();
        let sleep = ["--reuid", &user, "--regid", &user, "--clear-groups", "sleep", "60"];
        let stranger = Process::start(command("setpriv".as_ref(), &sleep));
        crate::harness::until("another user", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", stranger.0.id())).expect("it lives");
            status.contains(&format!("Uid:\t{user}\t")).then_some(())
        });
        let words = "PermissionDenied [spiffe.io WORKLOAD_NOT_ENTITLED] no identity issued";
        node.refused("x509", &stranger.reference(), words);
    }
}

#[test]
fn nobody_is_a_broker_who_is_not_listed_or_not_proved_or_does_not_mean_it() {
    let node = Brokered::start("[kubernetes]", "", "");
    let it = format!("pid:{}", std::process::id());
    let header = "InvalidArgument [] security header missing from request: `broker.spiffe.io: true`";
    node.refused("bare", &it, header);
    node.refused("x509", &it, "PermissionDenied [] this broker may not name workloads by references of the kind `pid`");
    let said = |server: &str, own: &str| finish(node.command(server, own, "x509", &it), b"").ended(1).out;
    assert_eq!(said(SERVER, WEB), "PermissionDenied [] this SPIFFE ID is not listed as a broker of this node\n");
    assert_eq!(said(SERVER, "nobody"), "Unauthenticated [] a broker shows its own X509-SVID\n");
    // who is reached is not taken for another
    let other = said("spiffe://prod.acme.test/countersign/agent/node-2", MESH);
    assert!(other.starts_with("Unavailable [] ") && other.contains("unexpected ID"), "{other}");
}

#[test]
fn a_broker_is_handed_nothing_more_once_it_is_none_or_nothing_is_registered() {
    let node = Brokered::start("[pid]", "", "");
    let workload = Process::sleeping();
    let watching = node.watch(&workload.reference());
    assert_eq!(watching.line(), format!("svids [{MESH} {WEB} internal]"));
    let less = Estate::empty().document(&registration("mesh", own_uid(), ""));
    node.installation.apply(&less, &[]).ended(0);
    assert_eq!(watching.line(), format!("svids [{MESH}]"));
    node.installation.apply(&Estate::empty(), &[]).ended(0);
    assert_eq!(watching.line(), "PermissionDenied [spiffe.io WORKLOAD_NOT_ENTITLED] no identity issued");
}

#[test]
fn a_broker_whose_svid_has_ended_hears_nothing_more_on_the_connection_that_it_opened_with_it() {
    let node = Brokered::start("[pid]", "", "");
    let short = Estate::empty()
        .document(&registration("mesh", own_uid(), "  x509: {ttl: 3s}\n"))
        .document(&registration("web", own_uid(), ""));
    node.installation.apply(&short, &[]).ended(0);
    let workload = Process::sleeping();
    let watching = node.watch(&workload.reference());
    assert_eq!(watching.line(), format!("svids [{MESH} {WEB}]"));
    let ended = "the broker's X509-SVID does not hold, or not any more: connect again with another";
    assert_eq!(watching.line(), format!("Unauthenticated [] {ended}"));
}

/// Its number 1 is not the node's.
#[test]
fn the_numbers_of_a_broker_in_a_pid_namespace_below_are_not_taken_for_ours() {
    if own_uid() != 0 {
        return;
    }
    let node = Brokered::start("[pid]", "", "");
    let ask = node.command(SERVER, MESH, "x509", "pid:1");
    let mut below = Command::new("unshare");
    below.args(["--pid", "--fork"]).arg(ask.get_program()).args(ask.get_args());
    for (name, value) in ask.get_envs() {
        below.env(name, value.unwrap_or_default());
    }
    let words = "the broker's numbers of processes are not this node's: it is in a PID namespace below";
    let said = finish(below, b"").ended(1).out;
    assert_eq!(said, format!("InvalidArgument [spiffe.io WORKLOAD_REFERENCE_INVALID] {words}\n"));
}

const POD: &str = "0fa1b2c3-4d5e-6f70-8192-a3b4c5d6e7f8";

/// The list of a kubelet with one pod of this UID.
fn pods(uid: &str, account: &str) -> String {
    format!(
        r#"{{"items":[{{"metadata":{{"uid":"{uid}","name":"checkout-0","namespace":"shop"}},"spec":{{"serviceAccountName":"{account}","nodeName":"node-1"}}}}]}}"#
    )
}

#[test]
fn a_broker_is_handed_what_is_for_a_pod_as_long_as_the_kubelet_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let kubelet = FileServer::start(folder.path());
    kubelet.says("pods", &pods(POD, "checkout"));
    std::fs::write(folder.path().join("token"), "account-token\n").unwrap();
    let (port, here) = (&kubelet.port, folder.path().display());
    let asked = format!("kubelet: \"https://localhost:{port}\", ca: {here}/ca.pem, token: {here}/token");
    let attestors = format!("attestors: {{unix: {{}}, kubernetes: {{{asked}}}}}\n");
    let registered = "kind: Registration\nmetadata: {name: checkout}\nspec:\n  \
                      id: spiffe://prod.acme.test/ns/{k8s:ns}/sa/{k8s:sa}\n  nodes: [\"node:name:node-1\"]\n  \
                      selectors: [\"k8s:ns:shop\", \"k8s:pod-name:checkout-0\"]\n";
    let node = Brokered::start("[kubernetes]", &attestors, registered);
    let svids = "svids [spiffe://prod.acme.test/ns/shop/sa/checkout]";
    for reference in ["pod:shop/checkout-0", &format!("uid:{POD}"), &format!("pod:shop/checkout-0#{POD}")] {
        assert_eq!(node.ask("x509", reference).ended(0).out, format!("{svids}\n"), "{reference}");
    }
    let other = POD.replace('f', "e");
    for reference in ["pod:shop/checkout-1", &format!("uid:{other}"), &format!("pod:shop/checkout-0#{other}")] {
        node.refused("x509", reference, "NotFound [spiffe.io WORKLOAD_NOT_FOUND] there is no such pod on this node");
    }
    let watching = node.watch("pod:shop/checkout-0");
    assert_eq!(watching.line(), svids);
    // what holds of it may change; another of its name is another
    kubelet.says("pods", &pods(POD, "cart"));
    assert_eq!(watching.line(), "svids [spiffe://prod.acme.test/ns/shop/sa/cart]");
    kubelet.says("pods", &pods(&other, "cart"));
    assert_eq!(watching.line(), "NotFound [spiffe.io WORKLOAD_NOT_FOUND] the workload is no more");
}
