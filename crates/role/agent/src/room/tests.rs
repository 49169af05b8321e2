//! Rooms are taken, refused and given back.

use super::{Most, NoRoom, Room, Rooms};

const MOST: Most = Most { of_a_process: 2, of_all: 3 };

#[track_caller]
fn refused(taken: Result<Room, NoRoom>) -> String {
    taken.err().expect("no room").to_string()
}

#[test]
fn a_process_that_has_much_open_leaves_room_for_others() {
    let rooms = Rooms::new(MOST);
    let _open = [rooms.take(1), rooms.take(1)];
    assert_eq!(refused(rooms.take(1)), "the process has too many requests open: at most 2 at once");
    assert!(rooms.take(2).is_ok());
}

#[test]
fn all_processes_together_have_no_more_than_the_agent_has() {
    let rooms = Rooms::new(MOST);
    let _open = [rooms.take(1), rooms.take(2), rooms.take(3)];
    assert_eq!(refused(rooms.take(4)), "the agent has too many requests open: at most 3 at once");
}

#[test]
fn room_is_given_back_and_nothing_is_kept_of_a_process_that_has_none_open() {
    let rooms = Rooms::new(MOST);
    for pid in 1..1_000 {
        let (one, other) = (rooms.take(pid), rooms.take(pid));
        assert!(one.is_ok() && other.is_ok() && rooms.take(pid).is_err());
        assert_eq!(rooms.lock().all, 2);
    }
    assert_eq!(rooms.lock().all, 0);
    assert!(rooms.lock().by_process.is_empty());
}
