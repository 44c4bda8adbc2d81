use super::*;

const WINDOW: Duration = Duration::from_secs(10);
const SHARE: Duration = Duration::from_secs(2);

fn at(ms: u64) -> Time {
    Time::after(Duration::from_millis(ms))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A share that was used in these stretches, in milliseconds.
fn used(stretches: &[(u64, u64)]) -> Share {
    let mut share = Share::default();
    for (begin, end) in stretches {
        share.begin(at(*begin), WINDOW);
        share.end(at(*end));
    }
    share
}

#[test]
fn a_stretch_that_goes_on_uses_up_the_share_in_just_that_time() {
    let mut share = Share::default();
    assert_eq!(share.used_up(at(5), WINDOW, SHARE), None);
    share.begin(at(100_000), WINDOW);
    assert_eq!(share.used_up(at(100_500), WINDOW, SHARE), Some(at(102_000)));
    assert_eq!(share.used(at(100_500), WINDOW), ms(500));
    // More than the whole window is never used.
    assert_eq!(share.used_up(at(100_500), WINDOW, ms(10_001)), None);
    assert_eq!(share.used_up(at(100_500), WINDOW, WINDOW), Some(at(110_000)));
}

#[test]
fn time_before_the_window_does_not_count() {
    let mut share = used(&[(100_000, 101_000), (103_000, 103_500)]);
    assert_eq!(share.used(at(104_000), WINDOW), ms(1500));
    assert_eq!(share.used(at(110_400), WINDOW), ms(1100));
    assert_eq!(share.used(at(113_200), WINDOW), ms(300));
    share.begin(at(104_000), WINDOW);
    assert_eq!(share.used_up(at(104_000), WINDOW, SHARE), Some(at(104_500)));
    share.end(at(104_200));
    // At 110.5 the window holds 0.5 of the first and 0.7; while the first leaves it nothing is gained.
    share.begin(at(110_500), WINDOW);
    assert_eq!(share.used(at(110_500), WINDOW), ms(1200));
    assert_eq!(share.used_up(at(110_500), WINDOW, SHARE), Some(at(111_800)));
}

/// Against counting every millisecond.
#[test]
fn the_share_is_exact() {
    let mut rng = fastrand::Rng::with_seed(3);
    for run in 0..200 {
        let origin = if run % 2 == 0 { 0 } else { 50_000 };
        let (mut share, mut now, mut used_ms) = (Share::default(), origin, Vec::new());
        let count = |used: &[u64], now: u64| used.iter().filter(|t| **t + 10_000 >= now).count() as u64;
        for _ in 0..rng.usize(0..40) {
            now += rng.u64(0..1500);
            share.begin(at(now), WINDOW);
            let end = now + rng.u64(0..400);
            used_ms.extend(now..end);
            now = end;
            share.end(at(now));
            assert_eq!(share.used(at(now), WINDOW), ms(count(&used_ms, now)));
        }
        now += rng.u64(0..3000);
        share.begin(at(now), WINDOW);
        let expected = share.used_up(at(now), WINDOW, SHARE).unwrap();
        while count(&used_ms, now) < 2000 {
            used_ms.push(now);
            now += 1;
        }
        assert_eq!(expected, at(now), "run {run}");
    }
}

#[test]
fn many_short_stretches_take_little_memory_and_their_sum_is_kept() {
    let stretches: Vec<(u64, u64)> = (0..1000).map(|i| (100_000 + 9 * i, 100_000 + 9 * i + 1)).collect();
    let share = used(&stretches);
    assert!(share.over.len() <= STRETCHES);
    assert_eq!(share.used(at(109_000), WINDOW), ms(1000));
    // Off by no more than a part of the window.
    let later = share.used(at(114_500), WINDOW).as_millis();
    assert!((500..=540).contains(&later), "{later}");
}
