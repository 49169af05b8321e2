//! Who finds room, and when it is there again.

use guard::NoRoom;
use model::PrincipalId;

use super::Room;

fn one(name: &str) -> PrincipalId {
    format!("spiffe://prod.acme.test/{name}").parse().unwrap()
}

#[test]
fn no_principal_takes_more_than_its_part() {
    let room = Room::new(3, 2);
    let greedy: Vec<_> = (0..2).map(|_| room.take(&one("greedy"), 1).unwrap()).collect();
    assert_eq!(room.take(&one("greedy"), 1).unwrap_err(), NoRoom);
    let modest = room.take(&one("modest"), 1).unwrap();
    assert_eq!(room.take(&one("third"), 1).unwrap_err(), NoRoom);
    drop(modest);
    assert_eq!(room.take(&one("greedy"), 1).unwrap_err(), NoRoom);
    drop(greedy);
    assert!(room.take(&one("greedy"), 1).is_ok());
}

#[test]
fn a_place_that_is_given_back_leaves_no_name() {
    let room = Room::new(10, 10);
    let places: Vec<_> = ["a", "b", "a"].iter().map(|name| room.take(&one(name), 1).unwrap()).collect();
    drop(places);
    let taken = room.taken();
    assert_eq!((taken.all, taken.each.len()), (0, 0));
}

#[test]
fn a_place_counts_as_much_as_it_weighs() {
    let room = Room::new(10, 6);
    let heavy = room.take(&one("a"), 5).unwrap();
    assert_eq!(room.take(&one("a"), 2).unwrap_err(), NoRoom);
    assert_eq!(room.take(&one("b"), 6).unwrap_err(), NoRoom);
    assert_eq!(room.take(&one("b"), usize::MAX).unwrap_err(), NoRoom);
    let light = room.take(&one("a"), 1).unwrap();
    drop(heavy);
    assert!(room.take(&one("b"), 6).is_ok());
    drop(light);
    assert_eq!(room.taken().all, 0);
}

#[test]
fn where_there_is_no_room_nobody_comes_in() {
    assert_eq!(Room::new(0, 5).take(&one("a"), 1).unwrap_err(), NoRoom);
    assert_eq!(Room::new(5, 0).take(&PrincipalId::Anonymous, 1).unwrap_err(), NoRoom);
}
