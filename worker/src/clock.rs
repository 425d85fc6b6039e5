//! The wall clock, read in one place. Everything that lasts is measured by the monotonic one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Nanoseconds since 1970 at an instant of the monotonic clock, as the two clocks stand to each other now.
#[must_use]
pub fn unix_nanos_at(at: Instant) -> i64 {
    let (wall, now) = (SystemTime::now(), Instant::now());
    let wall = wall.duration_since(UNIX_EPOCH).map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
    let signed = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(0);
    let moved = wall + signed(at.saturating_duration_since(now)) - signed(now.saturating_duration_since(at));
    i64::try_from(moved).unwrap_or(i64::MAX)
}

/// How far two words of one instant may be apart before the wall clock is no longer believed: somebody may have set it.
const TRUSTED: Duration = Duration::from_millis(250);

/// The instant that the wall clock tells, where it is near the one that a countdown told; else the latter. A countdown is late by the time
/// that it was on its way.
#[must_use]
pub fn nearer_word(counted: Instant, unix_nanos: i64) -> Instant {
    let off = i128::from(unix_nanos) - i128::from(unix_nanos_at(counted));
    let span = Duration::from_nanos(u64::try_from(off.unsigned_abs()).unwrap_or(u64::MAX));
    match (span <= TRUSTED, off < 0) {
        (true, true) => counted.checked_sub(span).unwrap_or(counted),
        (true, false) => counted + span,
        (false, _) => counted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_believed_where_it_is_near_the_countdown() {
        let counted = Instant::now() + Duration::from_secs(1);
        let told = unix_nanos_at(counted);
        for (off, expected) in [(0_i64, 0_i64), (-30, -30), (40, 40), (-300, 0), (4_000, 0)] {
            let at = nearer_word(counted, told + off * 1_000_000);
            let (early, late) = (counted.saturating_duration_since(at).as_millis(), at.saturating_duration_since(counted).as_millis());
            let moved = i64::try_from(late).unwrap() - i64::try_from(early).unwrap();
            assert!((moved - expected).abs() <= 2, "{off} ms off moved the instant by {moved} ms");
        }
    }
}
