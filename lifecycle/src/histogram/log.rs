//! The HdrHistogram interval log: what a worker writes about each second, one line per query, stage and outcome, and
//! what the merger reads. Any HDR tool can plot it; the tag tells the series apart.

use std::fmt::Write as _;

use crate::class::Class;

/// The lines that a log begins with. Readers skip them.
pub const HEADER: &str = "#[Histogram log format version 1.3]\n\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// What a tag ends with where its times are service times.
const SERVICE: &str = "service";

/// One line of the log: one query, stage and outcome in one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The query's name.
    pub query: String,
    /// The stage's name.
    pub stage: String,
    /// How the queries ended.
    pub class: Class,
    /// Whether these are service times: how long the system under test took. In the open model they stand beside the times that
    /// count, which begin when the arrival was due; in the closed model the two are the same, and there are none of these.
    pub service: bool,
    /// The second in which they ended, counted from the agreed start.
    pub second: u64,
    /// The longest of them, in microseconds.
    pub max_micros: u64,
    /// Their latencies: base64 of a V2 histogram of microseconds.
    pub histogram: String,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line begins as one about arrivals and is none.
    #[error("begins as one about arrivals and is none")]
    Arrivals,
    /// The line has no `Tag=<query>|<stage>|<outcome>,`.
    #[error("does not begin with Tag=<query>|<stage>|<outcome>")]
    Tag,
    /// The line does not have five fields.
    #[error("does not have the fields tag, start, length, maximum and histogram")]
    Fields,
    /// The outcome is none that we know.
    #[error("has an outcome that is not known")]
    Class,
    /// Start or length is not a time in seconds.
    #[error("has a start, a length or a maximum that is not a number")]
    Number,
}

impl Record {
    /// The record of a line; nothing for an empty line, a comment or the legend.
    ///
    /// # Errors
    /// Where the line is none of these. The histogram itself is not read here.
    pub fn parse(line: &str) -> Result<Option<Self>, LineError> {
        Ok(Self::parse_with_length(line)?.map(|(record, _)| record))
    }

    /// The record of a line, with the whole seconds that it is about.
    ///
    /// # Errors
    /// As [`Record::parse`].
    pub fn parse_with_length(line: &str) -> Result<Option<(Self, u64)>, LineError> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() || line.starts_with(['#', '"']) {
            return Ok(None);
        }
        let (tag, rest) = line.strip_prefix("Tag=").and_then(|rest| rest.split_once(',')).ok_or(LineError::Tag)?;
        let mut parts = tag.split('|');
        let (Some(query), Some(stage), Some(class), service, None) = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(LineError::Tag);
        };
        if service.is_some_and(|word| word != SERVICE) {
            return Err(LineError::Tag);
        }
        let mut fields = rest.split(',');
        let (Some(start), Some(length), Some(max), Some(histogram), None) = (fields.next(), fields.next(), fields.next(), fields.next(), fields.next()) else {
            return Err(LineError::Fields);
        };
        let seconds = thousandths(length).ok_or(LineError::Number)? / 1000;
        let record = Self {
            query: query.to_owned(),
            stage: stage.to_owned(),
            class: Class::parse(class).ok_or(LineError::Class)?,
            service: service.is_some(),
            second: thousandths(start).ok_or(LineError::Number)? / 1000,
            max_micros: thousandths(max).ok_or(LineError::Number)?,
            histogram: histogram.trim().to_owned(),
        };
        Ok(Some((record, seconds)))
    }

    /// The record as a line of the log about so many seconds, line feed included. The maximum is in milliseconds, as other
    /// tools expect.
    #[must_use]
    pub fn to_line(&self, seconds: u64) -> String {
        let Self { query, stage, class, service, second, max_micros, histogram } = self;
        let mut line = String::with_capacity(histogram.len() + 80);
        let (bar, service) = if *service { ("|", SERVICE) } else { ("", "") };
        // Writing into memory does not fail.
        let _ =
            writeln!(line, "Tag={query}|{stage}|{class}{bar}{service},{second}.000,{seconds}.000,{}.{:03},{histogram}", max_micros / 1000, max_micros % 1000);
        line
    }
}

/// A decimal number with at most three decimals that count, times 1000. Exact: no floating point on the way.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 15 || decimals.len() > 18 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<u64>().ok()? * 1000 + decimals.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        Record {
            query: "PointLookup".into(),
            stage: "steady".into(),
            class: Class::Ok,
            service: false,
            second: 42,
            max_micros: 12_345,
            histogram: "HISTFAAA".into(),
        }
    }

    #[test]
    fn a_line_says_everything_about_one_second_of_one_query() {
        assert_eq!(record().to_line(1), "Tag=PointLookup|steady|ok,42.000,1.000,12.345,HISTFAAA\n");
        assert_eq!(Record::parse("Tag=PointLookup|steady|ok,42.000,1.000,12.345,HISTFAAA\n"), Ok(Some(record())));
        let service = Record { service: true, ..record() };
        assert_eq!(service.to_line(1), "Tag=PointLookup|steady|ok|service,42.000,1.000,12.345,HISTFAAA\n");
        assert_eq!(Record::parse(&service.to_line(1)), Ok(Some(service)));
    }

    #[test]
    fn comments_the_legend_and_empty_lines_are_skipped() {
        for line in HEADER.lines().chain(["", "   ", "\r\n", "#[StartTime: 1.0]"]) {
            assert_eq!(Record::parse(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn every_defect_of_a_line_has_its_name() {
        let cases = [
            ("0.000,1.000,1.000,HIST", LineError::Tag),
            ("Tag=A|b,0.000,1.000,1.000,HIST", LineError::Tag),
            ("Tag=A|b|ok|x,0.000,1.000,1.000,HIST", LineError::Tag),
            ("Tag=A|b|ok|service|x,0.000,1.000,1.000,HIST", LineError::Tag),
            ("Tag=A|b|ok", LineError::Tag),
            ("Tag=A|b|fine,0.000,1.000,1.000,HIST", LineError::Class),
            ("Tag=A|b|ok,0.000,1.000,HIST", LineError::Fields),
            ("Tag=A|b|ok,0.000,1.000,1.0,HIST,more", LineError::Fields),
            ("Tag=A|b|ok,-1,1.000,1.000,HIST", LineError::Number),
            ("Tag=A|b|ok,NaN,1.000,1.000,HIST", LineError::Number),
            ("Tag=A|b|ok,99999999999999999999,1.000,1.000,HIST", LineError::Number),
            ("Tag=A|b|ok,1.000,x,1.000,HIST", LineError::Number),
        ];
        for (line, error) in cases {
            assert_eq!(Record::parse(line), Err(error), "{line}");
        }
    }

    #[test]
    fn any_hdr_tool_reads_the_log() {
        let log = format!("{HEADER}{}{}", record().to_line(1), record().to_line(1));
        let entries: Vec<_> = IntervalLogIterator::new(log.as_bytes()).map(Result::unwrap).collect();
        let intervals = entries
            .iter()
            .filter(|entry| matches!(entry, LogEntry::Interval(interval) if interval.tag().is_some_and(|tag| tag.as_str() == "PointLookup|steady|ok")));
        assert_eq!(intervals.count(), 2);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in ".*", tagged in "Tag=[a|,.0-9ok]{0,40}") {
            let _ = Record::parse(&line);
            let _ = Record::parse(&tagged);
        }
    }
}
