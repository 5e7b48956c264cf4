//! Damaged hives and files of Windows guests: an answer, and nothing else.

use crate::windows_door::{knock, patched, seeds};
use h2k_testkit::{mutate::damage, rng::Rng};

#[test]
fn a_hundred_thousand_damaged_windows_guests_are_no_catastrophe() {
    let seeds = seeds();
    assert!(!knock(&seeds), "the guest is sound");
    let mut rng = Rng::new(0x57_1d_05);
    let (mut silent, mut complaints) = (0, 0);
    for n in 0..100_000_usize {
        let mut damaged = seeds[n % seeds.len()].clone();
        let len = damaged.1.len();
        damage(&mut rng, &mut damaged.1, 0..len);
        // Most of the time it is the only file there is: the others would say the same again and again.
        let others = seeds.iter().filter(|(path, _)| n % 16 == 0 && *path != damaged.0);
        if knock(others.chain([&damaged])) {
            complaints += 1;
        } else {
            silent += 1;
        }
    }
    assert!(
        silent > 1000 && complaints > 1000,
        "{silent} silent, {complaints} with complaints: the damage does not bite"
    );
}

#[test]
fn single_bytes_are_set_where_the_fuzzer_says() {
    let seeds = seeds();
    for (number, _) in (0_u8..).zip(&seeds) {
        patched(&seeds, &[number, 0, 0, b'x', 0, 16, 0xff, 0xff, 0xff, 0]);
    }
}
