//! Rooms are taken, refused and given back.

use super::{Most, NoRoom, Room, Rooms};

const MOST: Most = Most { of_a_process: 2, of_a_user: 4, of_all: 6 };

#[track_caller]
fn refused(taken: Result<Room, NoRoom>) -> String {
    taken.err().expect("no room").to_string()
}

#[test]
fn a_process_that_has_much_open_leaves_room_for_others() {
    let rooms = Rooms::new(MOST);
    let _open = [rooms.take(1, 0), rooms.take(1, 0)];
    assert_eq!(refused(rooms.take(1, 0)), "the process has too many requests open: at most 2 at once");
    assert!(rooms.take(2, 0).is_ok());
}

#[test]
fn a_user_that_has_much_open_leaves_room_for_others_however_many_processes_it_starts() {
    let rooms = Rooms::new(MOST);
    let _open: Vec<_> = (1..=4).map(|pid| rooms.take(pid, 7)).collect();
    assert_eq!(refused(rooms.take(5, 7)), "the user has too many requests open: at most 4 at once");
    assert!(rooms.take(6, 8).is_ok());
}

#[test]
fn all_processes_together_have_no_more_than_the_agent_has() {
    let rooms = Rooms::new(MOST);
    let _open: Vec<_> = (1..=6_u8).map(|one| rooms.take(one.into(), one.into())).collect();
    assert_eq!(refused(rooms.take(7, 7)), "the agent has too many requests open: at most 6 at once");
}

#[test]
fn room_is_given_back_and_nothing_is_kept_of_a_process_that_has_none_open() {
    let rooms = Rooms::new(MOST);
    for pid in 1..1_000 {
        let (one, other) = (rooms.take(pid, 0), rooms.take(pid, 0));
        assert!(one.is_ok() && other.is_ok() && rooms.take(pid, 0).is_err());
        assert_eq!(rooms.lock().all, 2);
    }
    assert_eq!(rooms.lock().all, 0);
    assert!(rooms.lock().by_process.0.is_empty() && rooms.lock().by_user.0.is_empty());
}
