//! What became of the arrivals of the open model, second by second: lines of the worker's histogram log that HDR tools
//! skip as comments. They stand where the times of their second stand, so that one reading merges both.

use std::fmt::Write as _;

use super::log::LineError;

/// What a line begins with.
const BEGIN: &str = "#[Arrivals: ";

/// Counts of arrivals, of one stage or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ArrivalCounts {
    /// Arrivals that the schedule wanted.
    pub due: u64,
    /// Those whose query was sent, whenever that was.
    pub sent: u64,
    /// Those that found no free virtual user at their instant and had to wait.
    pub late: u64,
    /// Those that had one and began more than 10 ms after their instant all the same: the load generator had no room.
    pub behind: u64,
    /// Queries that were sent while the stage lasted, whichever stage's arrivals they were.
    pub begun: u64,
}

impl ArrivalCounts {
    /// Adds counts.
    pub fn add(&mut self, other: &Self) {
        let Self { due, sent, late, behind, begun } = other;
        for (sum, more) in [(&mut self.due, due), (&mut self.sent, sent), (&mut self.late, late), (&mut self.behind, behind), (&mut self.begun, begun)] {
            *sum = sum.saturating_add(*more);
        }
    }

    /// Arrivals that were due and never sent. Only once the load is over; before that they may still wait.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.due.saturating_sub(self.sent)
    }

    /// What began while its stage lasted, as a share of what was due; nothing where nothing was.
    #[must_use]
    pub fn achieved(&self) -> Option<f64> {
        share(self.begun, self.due)
    }

    /// What was dropped, as a share of what was due; nothing where nothing was.
    #[must_use]
    pub fn dropped_share(&self) -> Option<f64> {
        share(self.dropped(), self.due)
    }

    /// What the load generator began too late, as a share of what was sent; nothing where nothing was.
    #[must_use]
    pub fn behind_share(&self) -> Option<f64> {
        share(self.behind, self.sent)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share; counts stay exact up to 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The arrivals of one stage in one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// The second, counted from the agreed start.
    pub second: u64,
    /// The stage's name.
    pub stage: String,
    /// What became of them.
    pub counts: ArrivalCounts,
}

impl Arrivals {
    /// The line of a log, line feed included.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { second, stage, counts: ArrivalCounts { due, sent, late, behind, begun } } = self;
        let mut line = BEGIN.to_owned();
        // Writing into memory does not fail.
        let _ = writeln!(line, "second={second} stage={stage} due={due} sent={sent} late={late} behind={behind} begun={begun}]");
        line
    }

    /// What a line says; nothing where it is another one.
    ///
    /// # Errors
    /// Where the line begins as one about arrivals and is none.
    pub fn parse(line: &str) -> Result<Option<Self>, LineError> {
        let Some(rest) = line.trim_end_matches(['\r', '\n']).strip_prefix(BEGIN) else { return Ok(None) };
        let mut fields = rest.strip_suffix(']').ok_or(LineError::Arrivals)?.split(' ');
        let mut text = |name: &str| {
            let (key, value) = fields.next().and_then(|field| field.split_once('=')).ok_or(LineError::Arrivals)?;
            if key == name && !value.is_empty() { Ok(value) } else { Err(LineError::Arrivals) }
        };
        let number = |text: &str| text.parse().map_err(|_| LineError::Arrivals);
        let found = Self {
            second: number(text("second")?)?,
            stage: text("stage")?.to_owned(),
            counts: ArrivalCounts {
                due: number(text("due")?)?,
                sent: number(text("sent")?)?,
                late: number(text("late")?)?,
                behind: number(text("behind")?)?,
                begun: number(text("begun")?)?,
            },
        };
        if fields.next().is_some() { Err(LineError::Arrivals) } else { Ok(Some(found)) }
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::IntervalLogIterator;
    use proptest::prelude::*;

    use super::*;
    use crate::histogram::log::{HEADER, Record};

    fn arrivals() -> Arrivals {
        Arrivals { second: 12, stage: "steady".into(), counts: ArrivalCounts { due: 1000, sent: 998, late: 3, behind: 1, begun: 997 } }
    }

    #[test]
    fn a_line_says_what_became_of_one_stages_arrivals() {
        let line = "#[Arrivals: second=12 stage=steady due=1000 sent=998 late=3 behind=1 begun=997]\n";
        assert_eq!(arrivals().to_line(), line);
        assert_eq!(Arrivals::parse(line), Ok(Some(arrivals())));
        assert_eq!(Arrivals::parse("#[StartTime: 1.0]"), Ok(None));
        assert_eq!(Record::parse(line), Ok(None), "it is a comment to whoever reads times");
        let log = format!("{HEADER}{line}");
        assert!(IntervalLogIterator::new(log.as_bytes()).all(|entry| entry.is_ok()), "any HDR tool skips it");
    }

    #[test]
    fn what_only_looks_like_one_is_refused() {
        for line in [
            "#[Arrivals: ]",
            "#[Arrivals: second=12 stage=steady due=1000 sent=998 late=3 behind=1 begun=997",
            "#[Arrivals: second=12 stage= due=1000 sent=998 late=3 behind=1 begun=997]",
            "#[Arrivals: second=12 stage=steady sent=998 due=1000 late=3 behind=1 begun=997]",
            "#[Arrivals: second=12 stage=steady due=-1 sent=998 late=3 behind=1 begun=997]",
            "#[Arrivals: second=12 stage=steady due=1000 sent=998 late=3 behind=1 begun=997 more=1]",
        ] {
            assert_eq!(Arrivals::parse(line), Err(LineError::Arrivals), "{line}");
        }
    }

    #[test]
    fn shares_are_of_what_was_due_and_there_are_none_of_nothing() {
        let counts = ArrivalCounts { due: 200, sent: 190, late: 40, behind: 19, begun: 150 };
        assert_eq!((counts.achieved(), counts.dropped(), counts.dropped_share(), counts.behind_share()), (Some(0.75), 10, Some(0.05), Some(0.1)));
        let none = ArrivalCounts::default();
        assert_eq!((none.achieved(), none.dropped_share(), none.behind_share()), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "#\\[Arrivals: [a-z=0-9 \\]]{0,60}", any in ".*") {
            let _ = Arrivals::parse(&line);
            let _ = Arrivals::parse(&any);
        }
    }
}
