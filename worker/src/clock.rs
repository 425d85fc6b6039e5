//! The wall clock, read in one place. Everything that lasts is measured by the monotonic one.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Nanoseconds since 1970 at an instant of the monotonic clock, as the two clocks stand to each other now.
#[must_use]
pub fn unix_nanos_at(at: Instant) -> i64 {
    let (wall, now) = (SystemTime::now(), Instant::now());
    let wall = wall.duration_since(UNIX_EPOCH).map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
    let signed = |span: std::time::Duration| i128::try_from(span.as_nanos()).unwrap_or(0);
    let moved = wall + signed(at.saturating_duration_since(now)) - signed(now.saturating_duration_since(at));
    i64::try_from(moved).unwrap_or(i64::MAX)
}
