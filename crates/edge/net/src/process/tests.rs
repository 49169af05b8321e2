//! Who connected: real processes that end, and whose numbers others get.

use std::path::Path;

use testkit::{Caller, with_number};
use tokio::net::UnixListener;

use super::{Gone, Process, Unpinned, began, namespaces, started, ticks_since_boot};

/// A connection of a real process, and when it was heard of.
async fn connected(folder: &Path) -> (Caller, tokio::net::UnixStream, u64) {
    let listener = UnixListener::bind(folder.join("socket")).unwrap();
    let caller = Caller::connect(&folder.join("socket"));
    let (stream, _) = listener.accept().await.unwrap();
    (caller, stream, ticks_since_boot())
}

#[tokio::test]
async fn a_process_is_pinned_by_the_kernel_and_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, stream, heard) = connected(folder.path()).await;
    let by_kernel = Process::at(&stream).unwrap();
    let by_number = Process::by_number(&stream, heard).unwrap();
    for process in [&by_kernel, &by_number] {
        assert_eq!(process.pid(), caller.pid());
        assert_eq!(process.still(), Ok(()));
    }
    caller.leave();
    for process in [by_kernel, by_number] {
        process.ended().await;
        assert_eq!(process.still(), Err(Gone));
    }
}

#[tokio::test]
async fn another_process_with_the_number_is_not_the_one_that_was_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, stream, heard) = connected(folder.path()).await;
    let (by_kernel, by_number) = (Process::at(&stream).unwrap(), Process::by_number(&stream, heard).unwrap());
    let pid = caller.leave();
    let Some(other) = with_number(pid) else { return };
    assert_eq!(other.pid(), pid);
    assert_eq!((by_kernel.still(), by_number.still()), (Err(Gone), Err(Gone)));
}

#[tokio::test]
async fn who_got_the_number_of_a_caller_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, stream, heard) = connected(folder.path()).await;
    let pid = caller.leave();
    let gone = |found: Result<Process, Unpinned>| match found {
        Ok(process) => process.still().is_err(),
        Err(Unpinned::Gone(Gone)) => true,
        Err(other) => panic!("{other}"),
    };
    assert!(gone(Process::at(&stream)));
    assert!(gone(Process::by_number(&stream, heard)));
    let Some(_other) = with_number(pid) else { return };
    assert!(gone(Process::at(&stream)), "the kernel named a process that never connected");
    // without the kernel's word, its start tells; that is as exact as the clock of starts
    let before = began(pid).unwrap() - 1;
    let refused = Process::by_number(&stream, before).unwrap_err();
    assert!(matches!(refused, Unpinned::Younger { .. }));
    assert_eq!(refused.to_string(), format!("process {pid} began after the connection: its number was another's"));
}

/// Both take a kernel or a namespace that tests do not have.
#[test]
fn who_cannot_be_pinned_is_told_why() {
    let unseen = "who connected has no number here: this process has to see the PID namespace of its callers";
    assert_eq!(Unpinned::NoNumber.to_string(), unseen);
    assert_eq!(Unpinned::Unreadable { pid: 7 }.to_string(), "what the kernel says of process 7 cannot be read");
    assert_eq!(Unpinned::from(Gone).to_string(), "the process has ended");
}

#[test]
fn the_start_of_a_process_is_read_behind_its_name_whatever_that_is() {
    let rest = "S 1 2 3 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 2552946 3133440 359";
    for name in ["cat", "a b", ")", ") R 1 2 3 0 -1 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9", "("] {
        assert_eq!(started(&format!("29610 ({name}) {rest}\n")), Some(2_552_946), "{name}");
    }
    for broken in ["", "1 (x", "1 (x) S", "1 (x) S 1 2 3 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 late"] {
        assert_eq!(started(broken), None, "{broken}");
    }
    testkit::mutate(format!("29610 (cat) {rest}").as_bytes(), 2000, |bytes| {
        let _ = started(&String::from_utf8_lossy(bytes));
    });
    assert!(began(i32::try_from(std::process::id()).unwrap()).unwrap() <= ticks_since_boot());
}

#[tokio::test]
async fn a_number_names_a_process_only_while_it_lives_and_names_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _stream, _) = connected(folder.path()).await;
    let process = Process::numbered(caller.pid()).unwrap();
    assert_eq!((process.pid(), process.still()), (caller.pid(), Ok(())));
    assert_eq!(process.credentials().uid, rustix::process::geteuid().as_raw());
    let pid = caller.leave();
    process.ended().await;
    assert!(matches!(Process::numbered(pid), Err(Unpinned::Gone(Gone))));
    let Some(other) = with_number(pid) else { return };
    assert_eq!(process.still(), Err(Gone), "whoever got the number is another");
    drop(other);
    for none in [0, -1, i32::MIN] {
        assert!(matches!(Process::numbered(none), Err(Unpinned::NoNumber)));
    }
    let own = i32::try_from(std::process::id()).unwrap();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let threads = threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse::<i32>().unwrap());
    for thread in threads.filter(|thread| *thread != own) {
        assert!(matches!(Process::numbered(thread), Err(Unpinned::Gone(Gone))), "{thread} is a thread");
    }
}

#[test]
fn a_process_in_a_namespace_below_has_numbers_of_its_own() {
    assert_eq!(namespaces("Name:\tNSpid: 1\nNSpid:\t71\n"), Some(1));
    assert_eq!(namespaces("Name:\tx\nNSpid:\t71\t1\n"), Some(2));
    assert_eq!(namespaces("Name:\tx\n"), None, "a kernel that does not say is not believed");
}
