//! Control groups as engines make them, as their neighbours would like to make them, and as nobody makes them.

use testkit::mutate;

use super::super::cgroup::Cgroups;
use super::super::container::{Container, Uncertain};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";
const POD_: &str = "2c48913c_b29f_11e7_9350_020968147796";
const OTHER: &str = "561fd272-d131-47ef-a01b-46a997a778f3";

fn read(text: &str) -> Result<Option<Container>, Uncertain> {
    let text = text.replace("{A}", A).replace("{B}", B).replace("{POD}", POD).replace("{POD_}", POD_);
    Cgroups::read(&text.replace("{OTHER}", OTHER)).unwrap_or_else(|| panic!("not read: {text}")).container()
}

/// Engine, pod and user of container A.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = read(text).unwrap().unwrap_or_else(|| panic!("no container: {text}"));
    assert_eq!(found.id.as_str(), A, "{text}");
    let mut said = format!("{:?}", found.engine);
    said.extend(found.pod.iter().map(|pod| if pod.as_str() == POD { " in the pod" } else { " in another pod" }));
    said.extend(found.user.map(|user| format!(" of user {user}")));
    assert_eq!(said, expected, "{text}");
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let said = read(text).map(|found| panic!("{text}: {found:?}")).map_err(|why: Uncertain| why.to_string());
    let expected = expected.replace("{A}", A).replace("{B}", B).replace("{POD}", POD).replace("{OTHER}", OTHER);
    assert_eq!(said, Err::<(), _>(expected), "{text}");
}

#[test]
fn containers_of_docker_and_podman_are_known_by_both_versions() {
    check("0::/system.slice/docker-{A}.scope", "Docker");
    check("0::/docker/{A}", "Docker");
    check("0::/docker/{A}/init.scope", "Docker");
    check("0::/ci.slice/ci-jobs.slice/docker-{A}.scope", "Docker");
    check("0::/../docker-{A}.scope", "Docker");
    check(
        "12:devices:/docker/{A}\n11:memory:/docker/{A}\n1:name=systemd:/docker/{A}\n0::/system.slice/containerd.service",
        "Docker",
    );
    check("0::/machine.slice/libpod-{A}.scope/container", "Podman");
    check("0::/machine.slice/libpod-{A}.scope", "Podman");
    check("0::/libpod_parent/libpod-{A}", "Podman");
    check(
        "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
        "Podman of user 1000",
    );
    check("0::/system.slice/nerdctl-{A}.scope", "Containerd");
}

#[test]
fn containers_of_pods_are_known_by_every_driver_and_engine() {
    let pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice";
    check(&format!("0::{pod}/cri-containerd-{{A}}.scope"), "Containerd in the pod");
    check(&format!("0::{pod}/crio-{{A}}.scope/container"), "Crio in the pod");
    check(&format!("0::{pod}/docker-{{A}}.scope"), "Docker in the pod");
    check(
        "11:memory:/kubepods/burstable/pod{POD}/{A}\n1:name=systemd:/kubepods/burstable/pod{POD}/{A}",
        "Unnamed in the pod",
    );
    check("0::/kubepods/pod{POD}/{A}", "Unnamed in the pod");
    check("0::/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/{A}", "Unnamed in another pod");
    let kind = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice";
    check(
        &format!("0::{kind}/kubelet-kubepods-besteffort-pod{{POD_}}.slice/cri-containerd-{{A}}.scope"),
        "Containerd in the pod",
    );
    let colons = "kubepods-besteffort-pod{POD_}.slice:cri-containerd:{A}";
    check(&format!("0::/system.slice/containerd.service/{colons}"), "Containerd in the pod");
    check(&format!("0::/system.slice/k3s.service/{colons}"), "Containerd in the pod");
    check(&format!("0::/../../{colons}"), "Containerd in the pod");
    check("0::/../../pod{POD}/{A}", "Unnamed in the pod");
    // of the same pod as the agent: its own pod is not seen
    check("0::/../cri-containerd-{A}.scope", "Containerd");
    check("5:cpu:/kubepods/pod{POD}/{A}\n0::/../crio-{A}.scope", "Crio in the pod");
}

#[test]
fn a_process_that_is_in_no_container_is_in_none() {
    for text in [
        "0::/",
        "0::/init.scope",
        "0::/system.slice/ssh.service",
        "0::/system.slice/containerd.service",
        "0::/user.slice/user-1000.slice/session-3.scope",
        "9:name=systemd:/\n8:pids:/\n0::/",
        "4:memory:/agents/791bf921a0c0d3372a89fc2521af57a8\n0::/",
    ] {
        assert_eq!(read(text), Ok(None), "{text}");
    }
}

#[test]
fn whoever_may_make_groups_cannot_be_in_somebody_elses_container() {
    let user = "/user.slice/user-1000.slice/user@1000.service";
    let of_user = "`user@1000.service` may make control groups by any name, and has one like a container's";
    for group in [
        "docker-{A}.scope",
        "docker/{A}",
        "app.slice/cri-containerd-{A}.scope",
        "kubepods.slice/kubepods-pod{POD_}.slice/crio-{A}.scope",
        "kubepods/pod{POD}/{A}",
        "system.slice/containerd.service/kubepods-pod{POD_}.slice:cri-containerd:{A}",
        "kubepods/pod{POD}",
    ] {
        refused(&format!("0::{user}/{group}"), of_user);
        refused(&format!("1:name=systemd:{user}/{group}\n5:memory:/\n0::/"), of_user);
        refused(&format!("0::/../..{user}/{group}"), of_user);
    }
    let of = |unit: &str| format!("`{unit}` may make control groups by any name, and has one like a container's");
    refused("0::/system.slice/web.service/docker/{A}", &of("web.service"));
    refused("0::/system.slice/web.service/libpod-payload-{A}", &of("web.service"));
    refused("0::/system.slice/web.service/system.slice/containerd.service/{A}", &of("web.service"));
    refused("0::/user.slice/user-1000.slice/session-3.scope/docker-{A}.scope", &of("session-3.scope"));
    // a user is not another one, and a service by the name of an engine is one in its own place alone
    refused("0::/user.slice/user-1000.slice/user@0.service/user.slice/libpod-{A}.scope", &of("user@0.service"));
    refused("0::/other.slice/user@0.service/libpod-{A}.scope", &of("user@0.service"));
    refused("0::/web.slice/containerd.service/{A}", &of("containerd.service"));
}

#[test]
fn of_two_containers_none_is_chosen() {
    let several = "its control groups are of container `{A}` and of `{B}`";
    refused("0::/docker/{A}/docker/{B}", several);
    refused("0::/system.slice/docker-{A}.scope/kubepods/pod{POD}/{B}", several);
    refused("0::/system.slice/docker-{A}.scope/system.slice/docker-{B}.scope", several);
    refused("5:cpu:/docker/{A}\n4:memory:/docker/{B}\n0::/", several);
    let pods = "container `{A}` is of pod `{POD}` and of `{OTHER}`";
    refused("5:cpu:/kubepods/pod{POD}/{A}\n4:memory:/kubepods/pod{OTHER}/{A}", pods);
    refused("0::/kubepods/pod{POD}/{A}/kubepods-pod561fd272_d131_47ef_a01b_46a997a778f3.slice:crio:{A}", pods);
    let engines = "the control group of container `{A}` does not tell its engine";
    refused("5:cpu:/docker/{A}\n4:memory:/libpod_parent/libpod-{A}", engines);
}

#[test]
fn what_looks_like_a_container_is_one_or_refused() {
    let unknown =
        |name: &str| format!("`{name}` looks like a container's control group, and is of no engine that is known here");
    for name in ["lxc-{A}.scope", "libpod-conmon-{A}.scope", "{A}.scope", "docker-{A}.service", "slice:{A}", "a:b:{A}"]
    {
        refused(&format!("0::/machine.slice/{name}"), &unknown(name));
    }
    refused("0::/kubepods/pod{POD}", "it is in pod `{POD}`, and in none of its containers");
    refused("0::/kubepods/pod{POD}/init", "it is in pod `{POD}`, and in none of its containers");
}

#[test]
fn the_unit_is_the_first_below_slices() {
    let unit = |text: &str| Cgroups::read(text).unwrap().unit().map(str::to_owned);
    for (text, expected) in [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("0::/system.slice/web.service/workers/system.slice/nginx.service", "web.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service", "user@1000.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("0::/init.scope", "init.scope"),
        ("0::/system.slice/_cpu.service", "cpu.service"),
        (r"0::/system.slice/dev-disk\x2dby.mount", r"dev-disk\x2dby.mount"),
        ("5:cpu:/docker/x\n1:name=systemd:/system.slice/ssh.service\n0::/", "ssh.service"),
    ] {
        assert_eq!(unit(text).as_deref(), Some(expected), "{text}");
    }
    for text in [
        "0::/",
        "0::/docker/nginx.service",
        "0::/../system.slice/nginx.service",
        "0::/system.slice/.service",
        "0::/system.slice/nginx.slice",
        "0::/system.slice/a b.service",
        "5:cpu:/system.slice/nginx.service",
    ] {
        assert_eq!(unit(text), None, "{text}");
    }
}

#[test]
fn a_file_of_control_groups_has_its_form() {
    for text in ["", "0:/", "x::/", "0:cpu:/", "0::", "0::relative", "0::/\n\n", "-1::/"] {
        assert_eq!(Cgroups::read(text), None, "{text:?}");
    }
    assert!(Cgroups::read(&"1:cpu:/\n".repeat(64)).is_some());
    assert_eq!(Cgroups::read(&"1:cpu:/\n".repeat(65)), None);
}

/// Neither a changed text nor a changed path makes it another container's, and no text stops the reader.
#[test]
fn almost_a_container_is_never_another_one() {
    let seeds = [
        format!("5:cpu:/kubepods/pod{POD}/{A}\n0::/kubepods/pod{POD}/{A}"),
        format!("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container"),
        format!("0::/system.slice/containerd.service/kubepods-pod{POD_}.slice:cri-containerd:{A}"),
        format!("0::/system.slice/web.service/docker/{A}"),
    ];
    for seed in seeds {
        mutate(seed.as_bytes(), 5000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(cgroups) = Cgroups::read(&text) else { return };
            cgroups.unit();
            if let Ok(Some(found)) = cgroups.container() {
                assert!(text.contains(found.id.as_str()), "{text}");
                assert!(found.user.is_none_or(|user| text.contains(&format!("user@{user}.service"))), "{text}");
            }
        });
    }
}
