//! Whose a process is, by its status, and what its numbers are called.

use net::causes::chain;
use testkit::mutate;

use super::super::NotAttested;
use super::super::names::Names;
use super::super::status::{Owner, begins_to_end};

const STATUS: &str = "Name:\tledger\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4321\nPid:\t4321\nPPid:\t1\n\
    Uid:\t1000\t1001\t1002\t1003\nGid:\t100\t101\t102\t103\nFDSize:\t64\nGroups:\t4 24 1000 \nNStgid:\t4321\n";

#[test]
fn a_process_is_who_it_acts_as() {
    let owner = Owner::read(STATUS).unwrap();
    assert_eq!((owner.uid, owner.gid), (1001, 101));
    assert_eq!(owner.supplementary.into_iter().collect::<Vec<_>>(), [4, 24, 1000]);
    let none = Owner::read(&STATUS.replace("4 24 1000 ", "")).unwrap();
    assert!(none.supplementary.is_empty());
}

#[test]
fn a_status_that_the_kernel_would_not_write_says_nothing() {
    for (from, to) in [
        ("Uid:\t1000\t1001\t1002\t1003", "Uid:\t1000\t1001\t1002"),
        ("Uid:\t1000\t1001\t1002\t1003", "Uid:\t0\t-1\t0\t0"),
        ("Uid:\t1000\t1001\t1002\t1003", "Uid:\t0\t4294967296\t0\t0"),
        ("Uid:", "Vid:"),
        ("Gid:\t", "Gid:\t0\t"),
        ("Groups:\t4", "Groups:\tx"),
        ("Groups:", "groups:"),
        ("FDSize:\t64", "Uid:\t0\t0\t0\t0"),
    ] {
        assert_eq!(Owner::read(&STATUS.replace(from, to)), None, "{to}");
    }
    // a name cannot end its line: the kernel writes what it has for a line's end as two characters
    let named = STATUS.replace("ledger", r"x\nUid:\t0\t0\t0\t0");
    assert_eq!(Owner::read(&named).unwrap().uid, 1001);
    mutate(STATUS.as_bytes(), 5000, |bytes| drop(Owner::read(&String::from_utf8_lossy(bytes))));
}

/// Names stand in selectors: what is no line of such a file names nobody, and no text stops the reader.
#[test]
fn a_file_of_names_may_have_anything_in_it() {
    mutate(b"root:x:0:0:root:/root:/bin/bash\nledger:x:1000:\n", 2000, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let names = Names::read(&text);
        assert!(names.name(0).is_none_or(|name| text.contains(name) && !name.contains([':', '\n'])), "{text}");
    });
}

#[test]
fn the_first_line_with_a_number_names_it() {
    let names = Names::read(
        "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\n# note:x:7:\n+nis:x:8:8:::\n:x:9:\nhalf:x\nbad:x:-1:\n\
         many:x:4294967296:\nledger:x:1000:\n",
    );
    let found: Vec<_> = [0, 7, 8, 9, 1000].iter().map(|number| names.name(*number)).collect();
    assert_eq!(found, [Some("root"), None, None, None, Some("ledger")]);
}

#[test]
fn without_a_file_of_names_there_are_none_and_a_file_that_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Names::of(&folder.path().join("absent")).unwrap().name(0), None);
    let why = chain(&NotAttested::Names(Names::of(folder.path()).unwrap_err()));
    let expected = format!("the names of users and groups are not known: cannot read `{}`: ", folder.path().display());
    assert!(why.starts_with(&expected), "{why}");
    let long = folder.path().join("long");
    std::fs::write(&long, "x".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(Names::of(&long).unwrap_err().to_string(), format!("`{}` has more than 1048576 bytes", long.display()));
}

#[test]
fn a_process_that_begins_to_end_is_seen_to() {
    let line =
        |name: &str, flags: u32| format!("29610 ({name}) S 1 2 3 0 -1 {flags} 100 0 0 0 0 0 0 0 20 0 1 0 2552946");
    for name in ["cat", "a b", ") S 1 2 3 0 -1 4 1"] {
        assert_eq!(begins_to_end(&line(name, 4_194_304)), Some(false));
        assert_eq!(begins_to_end(&line(name, 4_194_304 + 4)), Some(true));
    }
    for broken in ["", "1 (x", "1 (x) S 1 2 3 0 -1", "1 (x) S 1 2 3 0 -1 x"] {
        assert_eq!(begins_to_end(broken), None, "{broken}");
    }
    mutate(line("cat", 4).as_bytes(), 2000, |bytes| {
        let _ = begins_to_end(&String::from_utf8_lossy(bytes));
    });
}
