use super::*;

fn chunk(profile: Profile, copies: u64, stripes: u64) -> Chunk {
    let stripe = |i: u64| Stripe {
        devid: i,
        uuid: [0; 16],
        at: i * 0x100_0000,
    };
    Chunk {
        logical: 0x10_0000,
        len: 0x60_0000,
        stripe_len: 0x1_0000,
        profile,
        copies,
        data: true,
        stripes: (1..=stripes).map(stripe).collect(),
    }
}

fn at(chunk: &Chunk, within: u64, copy: u64) -> (usize, u64, u64) {
    let p = chunk.place(chunk.logical + within, copy).unwrap();
    (p.stripe, p.at, p.len)
}

#[test]
fn mirrors_go_on_to_the_end_of_the_chunk() {
    let c = chunk(Profile::Mirrors, 2, 2);
    assert_eq!(at(&c, 0x1_2345, 0), (0, 0x101_2345, 0x60_0000 - 0x1_2345));
    assert_eq!(at(&c, 0x1_2345, 1).1, 0x201_2345);
    assert_eq!(c.place(c.logical, 2), None);
    assert_eq!(c.place(c.end(), 0), None);
    assert_eq!(c.place(c.logical - 1, 0), None);
}

#[test]
fn striped_pieces_take_turns() {
    let c = chunk(Profile::Striped, 1, 3);
    assert_eq!(at(&c, 0, 0), (0, 0x100_0000, 0x1_0000));
    assert_eq!(at(&c, 0x1_0001, 0), (1, 0x200_0001, 0xffff));
    assert_eq!(at(&c, 0x3_0000, 0), (0, 0x101_0000, 0x1_0000));
    let ten = chunk(Profile::Striped, 2, 4);
    assert_eq!(at(&ten, 0x1_0000, 0).0, 2);
    assert_eq!(at(&ten, 0x1_0000, 1).0, 3);
    assert_eq!(at(&ten, 0x2_0000, 1), (1, 0x201_0000, 0x1_0000));
}

#[test]
fn parity_rotates_to_the_left() {
    // Three devices, one parity: rows are D0 D1 P, P D0 D1 by the rotation (row + index) mod 3.
    let c = chunk(Profile::Parity(1), 1, 3);
    assert_eq!(at(&c, 0, 0).0, 0);
    assert_eq!(at(&c, 0x1_0000, 0).0, 1);
    assert_eq!(at(&c, 0x2_0000, 0), (1, 0x201_0000, 0x1_0000));
    assert_eq!(at(&c, 0x3_0000, 0), (2, 0x301_0000, 0x1_0000));
}

#[test]
fn every_address_comes_back_from_its_place() {
    for c in [
        chunk(Profile::Single, 1, 1),
        chunk(Profile::Mirrors, 3, 3),
        chunk(Profile::Striped, 1, 3),
        chunk(Profile::Striped, 2, 4),
    ] {
        for within in (0..c.len).step_by(0x9001) {
            for copy in 0..c.copies {
                let p = c.place(c.logical + within, copy).unwrap();
                let offset = p.at - c.stripes[p.stripe].at;
                assert!(offset < c.on_device());
                assert_eq!(c.logical_at(p.stripe, offset), Some((c.logical + within, p.len)));
            }
        }
    }
}

#[test]
fn chunks_that_overlap_are_refused() {
    let a = chunk(Profile::Single, 1, 1);
    let b = Chunk {
        logical: a.end() - 1,
        ..a.clone()
    };
    assert!(Chunks::new(vec![b, a]).is_err());
}
