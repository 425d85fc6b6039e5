//! What the worker and its k6 cost while the load is on. The results are valid only where the load generator itself
//! was not what was measured.

use std::time::{Duration, Instant};

use nix::{
    sys::{
        resource::{Usage, UsageWho, getrusage},
        time::TimeValLike,
    },
    unistd::{SysconfVar, sysconf},
};

/// How old a reading may be that is shown while the load is on. Four of the kernel's tables are read for each, which in a quiet load costs more than the
/// report that shows it.
const FRESH: Duration = Duration::from_millis(900);

/// Processor time and memory of the worker and its k6.
#[derive(Debug, Default)]
pub struct Meter {
    begin: Option<f64>,
    throttled_at_begin: Option<f64>,
    last: Reading,
    read_at: Option<Instant>,
    over: bool,
}

/// One reading of a meter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Processor seconds since the load began.
    pub cpu_seconds: f64,
    /// Resident bytes: now, and once the load has begun the most that was seen since.
    pub memory_bytes: u64,
    /// Seconds since the load began in which the kernel held this pod back for having used up its share of the processors; nothing
    /// where the kernel does not tell.
    pub throttled_seconds: Option<f64>,
}

impl Meter {
    /// The load begins.
    pub fn begin(&mut self, k6: Option<u32>) {
        self.begin = Some(processor_seconds(k6));
        self.throttled_at_begin = throttled_seconds();
        self.read(k6);
    }

    /// The load is over; the reading stays as it is now.
    pub fn end(&mut self, k6: Option<u32>) {
        self.last = self.read(k6);
        self.over = true;
    }

    /// What it showed a moment ago, while the load is on; otherwise what it shows now.
    pub fn recent(&mut self, k6: Option<u32>) -> Reading {
        let fresh = self.read_at.is_some_and(|at| at.elapsed() < FRESH);
        if self.begin.is_some() && fresh { self.last } else { self.read(k6) }
    }

    /// What it shows now.
    pub fn read(&mut self, k6: Option<u32>) -> Reading {
        if !self.over {
            let cpu_seconds = self.begin.map_or(0.0, |begin| processor_seconds(k6) - begin);
            let memory_bytes = ["self".to_owned()].into_iter().chain(k6.map(|id| id.to_string())).filter_map(|id| resident_bytes(&id)).sum();
            // A k6 that has just ended has no memory any more, but its processor time still counts.
            let most = if self.begin.is_some() { self.last.memory_bytes } else { 0 };
            let throttled_seconds = self.throttled_at_begin.zip(throttled_seconds()).map(|(begin, now)| (now - begin).max(0.0));
            self.read_at = Some(Instant::now());
            self.last = Reading { cpu_seconds, memory_bytes: most.max(memory_bytes), throttled_seconds };
        }
        self.last
    }
}

/// Processor seconds of this process and of k6, living or ended, since they began.
fn processor_seconds(k6: Option<u32>) -> f64 {
    let living = k6
        .and_then(|id| std::fs::read_to_string(format!("/proc/{id}/stat")).ok())
        .and_then(|stat| ticks(&stat))
        .map_or(0.0, |ticks| ticks / ticks_per_second());
    spent(UsageWho::RUSAGE_SELF) + spent(UsageWho::RUSAGE_CHILDREN) + living
}

fn spent(who: UsageWho) -> f64 {
    let seconds = |usage: Usage| (usage.user_time() + usage.system_time()).num_microseconds();
    #[expect(clippy::cast_precision_loss, reason = "microseconds of processor time stay exact for 285 years")]
    getrusage(who).map_or(0.0, |usage| seconds(usage) as f64 / 1e6)
}

/// Where a container finds its own control group, of version 2 and of version 1.
const CONTROL_GROUPS: [&str; 2] = ["/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"];

/// Seconds in which the kernel held the pod's processes back, since they began.
fn throttled_seconds() -> Option<f64> {
    CONTROL_GROUPS.iter().find_map(|path| throttled(&std::fs::read_to_string(path).ok()?))
}

/// Microseconds in version 2, nanoseconds in version 1.
fn throttled(statistics: &str) -> Option<f64> {
    let number = |name: &str| statistics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    number("throttled_usec ").map(|micros| micros / 1e6).or_else(|| number("throttled_time ").map(|nanos| nanos / 1e9))
}

/// User and system time in `/proc/<id>/stat`. The program's name stands in brackets before them and may hold anything.
fn ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn ticks_per_second() -> f64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u32::try_from(ticks).ok());
    f64::from(ticks.unwrap_or(100))
}

fn resident_bytes(id: &str) -> Option<u64> {
    resident(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read_whatever_the_program_is_called() {
        let stat = "4242 (k6) (x) R 1 4242 4242 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 1000 1 1";
        assert_eq!(ticks(stat), Some(200.0));
        assert_eq!(ticks("4242 (k6) R"), None);
        assert_eq!(resident("Name:\tk6\nVmRSS:\t    2048 kB\nThreads:\t9\n"), Some(2_097_152));
        assert_eq!(resident("Name:\tk6\n"), None);
        assert_eq!(throttled("usage_usec 900\nnr_throttled 4\nthrottled_usec 2500000\n"), Some(2.5));
        assert_eq!(throttled("nr_periods 0\nnr_throttled 4\nthrottled_time 2500000000\n"), Some(2.5));
        assert_eq!(throttled("usage_usec 900\n"), None);
    }

    #[test]
    fn a_meter_shows_nothing_before_the_load_and_stands_still_after_it() {
        let mut meter = Meter::default();
        let before = meter.read(None);
        assert!(before.cpu_seconds.abs() < f64::EPSILON && before.memory_bytes > 0);
        meter.begin(None);
        let shown = meter.recent(None);
        let mut sum = 0_u64;
        let begin = std::time::Instant::now();
        while begin.elapsed().as_millis() < 30 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        assert!(sum > 0);
        assert_eq!(meter.recent(None), shown, "what was read a moment ago is shown again");
        meter.end(None);
        let end = meter.read(None);
        assert!(end.cpu_seconds > 0.0);
        assert_eq!(meter.read(None), end);
    }
}
