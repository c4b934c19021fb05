use super::*;

const LEAVES: Distance = Distance(400);

/// Deviations that look random, of about 1.
fn noise(member: usize, round: usize) -> f64 {
    let mut n =
        (member as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (round as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut sum = 0.0;
    for _ in 0..6 {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sum += (n >> 40) as f64 / (1_u64 << 24) as f64;
    }
    (sum - 3.0) * 1.4
}

const fn given(round: usize, deviation: f64) -> Given {
    Given { seconds: round as i64 * 60, deviation, shown: deviation, teaches: true }
}

/// Peers of a size through so many rounds, each with the deviations that `of` gives: who left or came back, and when.
fn turns(size: usize, rounds: usize, of: impl Fn(usize, usize) -> Option<f64>) -> Vec<(usize, usize, bool)> {
    let (mut group, mut found) = (Cohesion::default(), Vec::new());
    for round in 0..rounds {
        for member in 0..size {
            let Some(deviation) = of(member, round) else { continue };
            let turns = group.take(member as u128, given(round, deviation), LEAVES);
            found.extend(turns.iter().map(|turn| (turn.key as usize, round, turn.apart)));
        }
    }
    found
}

#[test]
fn one_leaves_and_comes_back() {
    for size in [4, 10, 1_000] {
        let of = |member: usize, round: usize| {
            Some(noise(member, round) + if member == 2 && (200..260).contains(&round) { 9.0 } else { 0.0 })
        };
        let found = turns(size, 400, of);
        let [(2, left, true), (2, back, false)] = found[..] else { panic!("{size}: {found:?}") };
        assert!((203..225).contains(&left) && (261..285).contains(&back), "{size}: {left} {back}");
    }
}

/// Of no single round it could be told.
#[test]
fn what_is_not_far_but_lasts_has_left() {
    for size in [10, 100] {
        let of = |member: usize, round: usize| {
            Some(noise(member, round) - if member == 1 && round >= 2_000 { 3.5 } else { 0.0 })
        };
        let found = turns(size, 2_240, of);
        let [(1, left, true)] = found[..] else { panic!("{size}: {found:?}") };
        assert!((2_005..2_060).contains(&left), "{size}: {left}");
        // It is within what its noise is when it lasts for a moment.
        let of = |member: usize, round: usize| {
            Some(noise(member, round) - if member == 1 && round.is_multiple_of(100) { 3.5 } else { 0.0 })
        };
        assert!(turns(size, 2_240, of).is_empty(), "{size}");
    }
}

#[test]
fn one_that_stays_while_the_others_move_has_left() {
    let wave = |round: usize| 8.0 * libm::sin(round as f64 / 100.0);
    let of = |member: usize, round: usize| {
        Some(noise(member, round) + if member == 0 && round >= 1_000 { 0.0 } else { wave(round) })
    };
    let found = turns(10, 1_300, of);
    assert!(found.first().is_some_and(|(member, round, apart)| *member == 0 && *apart && *round > 1_000), "{found:?}");
    assert!(found.iter().all(|(member, ..)| *member == 0), "{found:?}");
}

#[test]
fn what_all_do_and_what_half_do_is_none() {
    for (size, moved) in [(4, 2), (6, 3), (10, 5), (10, 4), (100, 50), (100, 100), (7, 7)] {
        let of = |member: usize, round: usize| {
            Some(noise(member, round) + if member < moved && round >= 200 { 10.0 } else { 0.0 })
        };
        assert_eq!(turns(size, 260, of), [], "{moved} of {size}");
    }
}

/// A third may leave, more may not: what the peers are can't be told then.
#[test]
fn the_smaller_part_leaves_while_it_is_a_third_at_most() {
    let leave = |size: usize, moved: usize| {
        let of = |member: usize, round: usize| {
            Some(noise(member, round) + if member < moved && round >= 200 { 40.0 } else { 0.0 })
        };
        turns(size, 300, of).iter().filter(|(_, _, apart)| *apart).count()
    };
    assert_eq!((leave(4, 1), leave(9, 3), leave(9, 4), leave(3, 1)), (1, 3, 0, 0));
}

#[test]
fn peers_that_never_move_are_not_left_for_a_trifle() {
    let of = |off: f64| {
        let off = move |member: usize, round: usize| Some(if member == 1 && round >= 100 { off } else { 0.0 });
        turns(6, 200, off).len()
    };
    assert_eq!((of(0.3), of(0.55), of(2.0)), (0, 0, 1));
}

#[test]
fn who_is_missing_is_no_peer_and_who_is_new_is_not_scored() {
    // Two of six stop; one comes with another offset, which is usual for it.
    let of = |member: usize, round: usize| match member {
        0 | 1 if round >= 100 => None,
        7 if round < 150 => None,
        7 => Some(noise(7, round) + 12.0),
        _ => Some(noise(member, round)),
    };
    assert_eq!(turns(8, 400, of), []);
    // Three that are left are too few.
    let of = |member: usize, round: usize| {
        (member < 3 || round < 100).then(|| noise(member, round) + if member == 0 && round >= 150 { 15.0 } else { 0.0 })
    };
    assert_eq!(turns(5, 400, of), []);
}

#[test]
fn a_round_follows_the_gaps_of_its_members() {
    let mut group = Cohesion::default();
    let mut left = Vec::new();
    // Ten members, each every 60 seconds, at moments of its own, some late by up to 20 seconds.
    for second in 0_usize..60 * 400 {
        for member in 0..10 {
            let late = (noise(member, second / 60).abs() * 7.0) as usize % 20;
            if second % 60 == member * 4 + late {
                let off = if member == 3 && second >= 60 * 200 { 10.0 } else { 0.0 };
                let deviation = noise(member, second) + off;
                let given = Given { seconds: second as i64, deviation, shown: deviation, teaches: true };
                left.extend(group.take(member as u128, given, LEAVES).iter().map(|turn| (turn.key, second / 60)));
            }
        }
    }
    let [(3, round)] = left[..] else { panic!("{left:?}") };
    assert!((203..225).contains(&round) && (380..=400).contains(&group.round), "{round} {}", group.round);
}

#[test]
fn members_have_a_maximum() {
    let mut group = Cohesion::default();
    let take = |group: &mut Cohesion, members: std::ops::Range<u128>, rounds: std::ops::Range<usize>| {
        for round in rounds {
            for member in members.clone() {
                group.take(member, given(round, 0.0), LEAVES);
            }
        }
    };
    take(&mut group, 0..1_001, 0..3);
    assert!(group.members.len() == MEMBERS_MAX && group.beside(1_000).is_none(), "who comes later is left out");
    // Half of them fall silent, and long enough after that the place of one is free: of the least key among equals.
    take(&mut group, 400..1_000, 3..3 + 2 * GONE_ROUNDS as usize);
    group.take(1_000, given(200, 0.0), LEAVES);
    assert!(group.members.len() == MEMBERS_MAX && group.beside(1_000).is_some() && group.beside(0).is_none());
    group.leave(1_000);
    assert!(group.members.len() == MEMBERS_MAX - 1 && group.beside(1_000).is_none());
}

#[test]
fn what_is_accepted_is_usual() {
    let mut group = Cohesion::default();
    let mut left = 0;
    for round in 0..600 {
        for member in 0..5 {
            let off = if member == 4 && round >= 100 { 11.0 } else { 0.0 };
            let turns = group.take(member, given(round, noise(member as usize, round) + off), LEAVES);
            left += turns.iter().filter(|turn| turn.apart).count();
        }
        if round == 200 {
            let beside = group.beside(4).expect("a member");
            assert!(beside.peers == 4 && beside.own > beside.theirs.1 && beside.distance >= LEAVES, "{beside:?}");
            group.accept(4);
        }
    }
    assert_eq!(left, 1);
}

#[test]
fn nothing_that_comes_breaks_it() {
    let mut group = Cohesion::default();
    let odd = [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0, f64::MIN_POSITIVE];
    let times = [i64::MAX, i64::MIN, 0, -1, 1 << 40];
    for n in 0..3_000_usize {
        let seconds = times[n % times.len()];
        let given = Given { seconds, deviation: odd[n % 6], shown: odd[(n / 6) % 6], teaches: n % 7 > 0 };
        group.take((n % 11) as u128, given, Distance((n % 500) as u16));
        group.accept((n % 13) as u128);
        if n % 97 == 0 {
            group.leave((n % 5) as u128);
        }
    }
    let again: Cohesion = serde_json::from_str(&serde_json::to_string(&group).expect("text")).expect("a group");
    assert_eq!(again, group);
    assert!(size_of::<Member>() <= 112, "{}", size_of::<Member>());
}

#[test]
fn altered_bytes_are_refused() {
    let mut group = Cohesion::default();
    (0..40).for_each(|n| {
        group.take(n as u128 % 5, given(n / 5, noise(n % 5, n / 5)), LEAVES);
    });
    let kept = serde_json::to_value(&group).expect("numbers");
    assert_eq!(serde_json::from_value::<Cohesion>(kept.clone()).expect("as written"), group);
    let altered = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut altered = kept.clone();
        change(&mut altered);
        serde_json::from_value::<Cohesion>(altered)
    };
    assert!(altered(&|group| group["spoken"] = vec![5].into()).is_err(), "there is no sixth member");
    assert!(altered(&|group| group["spoken"] = vec![0; 6].into()).is_err(), "nor do six speak");
    assert!(altered(&|group| group["members"][0]["key"] = 4.into()).is_err(), "they are by key");
    let many = |group: &mut serde_json::Value| {
        let member = |key: usize| {
            let mut member = kept["members"][0].clone();
            member["key"] = key.into();
            member
        };
        group["members"] = (0..=MEMBERS_MAX).map(member).collect();
    };
    assert!(altered(&many).is_err());
}
