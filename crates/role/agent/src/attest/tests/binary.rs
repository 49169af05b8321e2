//! Binaries: hashed through one descriptor, remembered only where a change would show.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use super::super::binary::{Binaries, NoBinary, is_served};

/// A program that runs until it is killed.
struct Running(Child);

impl Running {
    fn start(program: &Path) -> Self {
        loop {
            match Command::new(program).arg("600").spawn() {
                Ok(child) => return Self(child),
                // another test's child has what was open for writing here, until it is another program
                Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleep() -> std::path::PathBuf {
    fs::canonicalize("/bin/sleep").unwrap()
}

/// Path and digest of what it runs.
async fn found(binaries: &Binaries, running: &Running) -> Result<(String, Option<String>), NoBinary> {
    let binary = binaries.of(running.pid()).await?;
    let digest = binaries.digest(running.pid(), &binary).await?;
    Ok((binary.path, digest.map(|digest| digest.to_string())))
}

/// As `sha256sum` has it.
fn sum(file: &Path) -> String {
    let ran = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()[..64].to_owned()
}

#[tokio::test]
async fn a_binary_is_known_by_its_path_and_digest() {
    let running = Running::start(&sleep());
    let binaries = Binaries::new(1 << 30);
    for _ in 0..2 {
        let (path, digest) = found(&binaries, &running).await.unwrap();
        assert_eq!((Path::new(&path), digest), (sleep().as_path(), Some(sum(&sleep()))));
    }
    let (path, digest) = found(&Binaries::new(0), &running).await.unwrap();
    assert_eq!((Path::new(&path), digest), (sleep().as_path(), None));
}

#[tokio::test]
async fn a_binary_that_is_too_long_is_not_hashed() {
    let running = Running::start(&sleep());
    let size = fs::metadata(sleep()).unwrap().len();
    let why = found(&Binaries::new(size - 1), &running).await.unwrap_err();
    assert_eq!(why.to_string(), format!("it has {size} bytes, and `maxHashed` is {}", size - 1));
    assert!(found(&Binaries::new(size), &running).await.is_ok());
}

/// The path comes to mean another file: what runs is what is hashed.
#[tokio::test]
async fn what_lies_at_the_path_now_is_not_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::copy(sleep(), &program).unwrap();
    let running = Running::start(&program);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "another").unwrap();
    let (path, digest) = found(&Binaries::new(1 << 30), &running).await.unwrap();
    assert_eq!((path, digest), (format!("{} (deleted)", program.display()), Some(sum(&sleep()))));
}

/// Within one tick of a file system's clock a file can be hashed, exchanged and run again, all with the same times.
#[tokio::test]
async fn the_digest_of_a_file_that_changed_just_now_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let binaries = Binaries::new(1 << 30);
    for addition in ["", "x", "xy"] {
        let mut bytes = fs::read(sleep()).unwrap();
        bytes.extend_from_slice(addition.as_bytes());
        fs::write(&program, bytes).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let running = Running::start(&program);
        let (_, digest) = found(&binaries, &running).await.unwrap();
        assert_eq!(digest, Some(sum(&program)));
        assert_eq!(binaries.remembered(), 0);
        drop(running);
    }
    let running = Running::start(&sleep());
    found(&binaries, &running).await.unwrap();
    assert_eq!(binaries.remembered(), 1);
}

#[tokio::test]
async fn a_process_that_is_no_more_has_no_binary() {
    let running = Running::start(&sleep());
    let pid = running.pid();
    drop(running);
    assert!(matches!(Binaries::new(0).of(pid).await, Err(NoBinary::Io(_))));
}

#[tokio::test]
async fn another_binary_is_not_hashed_in_place_of_the_one_that_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::copy(sleep(), &program).unwrap();
    let (one, other) = (Running::start(&sleep()), Running::start(&program));
    let binaries = Binaries::new(1 << 30);
    let seen = binaries.of(one.pid()).await.unwrap();
    let why = binaries.digest(other.pid(), &seen).await.unwrap_err();
    assert_eq!(why.to_string(), "it is another one by now");
}

#[tokio::test]
async fn a_path_that_is_no_text_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::copy(sleep(), &program).unwrap();
    let why = Binaries::new(0).of(Running::start(&program).pid()).await.unwrap_err();
    assert_eq!(why.to_string(), "its path is not UTF-8");
}

/// Mounting such a file system takes a helper of the system's; its kind is all that is looked at.
#[test]
fn a_file_that_a_user_serves_is_known_by_its_file_system() {
    assert!(is_served(0x6573_5546) && is_served(0xffff_ffff_6573_5546));
    assert!(!is_served(0xef53) && !is_served(0x0102_1994) && !is_served(0x794c_7630));
    assert_eq!(NoBinary::Served.to_string(), "it is on a file system that a user serves, who may say anything of it");
    assert_eq!(NoBinary::Late.to_string(), "it was not read within 10 s");
}
