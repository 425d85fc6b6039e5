//! What has to come out of a table after what was put into it: how many values each column has, and what they add up to. The same
//! numbers are asked of the database, so what was lost, cut, rounded or doubled on the way shows.

use sha2::{Digest, Sha256};

use super::value::{Class, Kind, Slot, Value};

/// What is added up of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// The numbers themselves.
    Numbers,
    /// How many are true.
    Truths,
    /// The lengths in bytes.
    Lengths,
    /// Days since 1970.
    Days,
    /// Microseconds since 1970.
    Micros,
}

/// What a column of the table lets be added up.
pub fn sum_of(class: Class) -> Option<Sum> {
    match class {
        Class::Bool => Some(Sum::Truths),
        Class::Int(_) | Class::Decimal(_) => Some(Sum::Numbers),
        Class::Text | Class::Bytes => Some(Sum::Lengths),
        Class::Date => Some(Sum::Days),
        Class::Timestamp | Class::TimestampUtc => Some(Sum::Micros),
        Class::Float32 | Class::Float64 | Class::FixedBytes | Class::Time | Class::Uuid | Class::Json | Class::Cql { .. } | Class::Other => None,
    }
}

/// Numbers and lengths as they add up, exactly: an amount of units that are `10^-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exact {
    amount: i128,
    scale: u8,
}

impl Exact {
    fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Some(Self { amount: self.at(scale)?.checked_add(other.at(scale)?)?, scale })
    }

    fn at(self, scale: u8) -> Option<i128> {
        // As it is for nearly every value of a column.
        if scale == self.scale {
            return Some(self.amount);
        }
        self.amount.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?.into())?)
    }

    /// Reads `-12.50`; nothing where it is written otherwise.
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let (mut amount, mut scale, mut count, mut point) = (0_i128, 0_u8, 0_usize, false);
        // So many digits fit a `u64`, which is several times as fast.
        for piece in rest.chunks(18) {
            let (mut number, mut unit) = (0_u64, 1_u64);
            for byte in piece {
                match byte {
                    b'.' if !point => point = true,
                    b'0'..=b'9' => {
                        (number, unit) = (number * 10 + u64::from(byte - b'0'), unit * 10);
                        (scale, count) = (scale.checked_add(point.into())?, count + 1);
                    }
                    _ => return None,
                }
            }
            amount = amount.checked_mul(unit.into())?.checked_add(number.into())?;
        }
        (count > 0).then_some(Self { amount: if negative { -amount } else { amount }, scale })
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let scale = self.scale.max(other.scale);
        Some(self.at(scale)?.cmp(&other.at(scale)?))
    }
}

/// What one column has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    values: u64,
    /// Nothing where it cannot be added up, or not any more.
    sum: Option<Exact>,
}

/// What a table has to come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    rows: u64,
    columns: Vec<Expected>,
    content: Content,
}

/// What rows come to, in whatever order: the sum of their digests, and their bytes. Where rows come back as they were sent, nothing
/// that was lost, doubled or changed on the way leaves it as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub sum: u128,
    pub bytes: u64,
}

impl Content {
    /// One more row.
    pub fn put(&mut self, row: &[u8]) {
        let digest = Sha256::digest(row);
        let half = digest.first_chunk::<16>().map_or(0, |half| u128::from_be_bytes(*half));
        self.sum = self.sum.wrapping_add(half);
        self.bytes += row.len() as u64;
    }

    /// The rows of another part.
    pub const fn add(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.bytes += other.bytes;
    }
}

/// What a table has come to, as the database says: rows, and for each column its values and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    pub rows: u64,
    pub columns: Vec<(u64, Option<String>)>,
}

impl Measured {
    /// This and the other rows of the same table.
    pub fn and(mut self, other: &Self) -> Self {
        self.rows += other.rows;
        for ((values, sum), (more, others)) in self.columns.iter_mut().zip(&other.columns) {
            *values += more;
            *sum = sum_of_both(sum.take(), others.as_deref());
        }
        self
    }
}

/// Two sums as one; the sum of no values is NULL, and adds nothing.
fn sum_of_both(one: Option<String>, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Exact::parse(&one)?.add(Exact::parse(other)?).map(show),
        (one, other) => one.or_else(|| other.map(str::to_owned)),
    }
}

impl Tally {
    /// Nothing yet.
    pub fn new(slots: &[Slot]) -> Self {
        let columns = slots.iter().map(|slot| Expected { values: 0, sum: adds_up(slot).then_some(Exact { amount: 0, scale: 0 }) });
        Self { rows: 0, columns: columns.collect(), content: Content::default() }
    }

    /// How many rows were put in.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// One more row is whole.
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    /// What the rows themselves come to, where they were given to [`Content::put`].
    pub const fn content(&self) -> Content {
        self.content
    }

    /// One more row as it was sent, where it can be read back as such.
    pub fn put_row(&mut self, row: &[u8]) {
        self.content.put(row);
    }

    /// One more value.
    pub fn put(&mut self, column: usize, slot: &Slot, value: &Value<'_>) {
        let Some(expected) = self.columns.get_mut(column) else { return };
        if matches!(value, Value::Null) {
            return;
        }
        expected.values += 1;
        if let Some(sum) = expected.sum {
            expected.sum = worth(slot.class, value).and_then(|worth| sum.add(worth));
        }
    }

    /// Adds what another part of the rows has come to.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.content.add(other.content);
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.values += theirs.values;
            mine.sum = mine.sum.zip(theirs.sum).and_then(|(mine, theirs)| mine.add(theirs));
        }
    }

    /// What differs between what was put in and what is there, if anything.
    pub fn differs(&self, slots: &[Slot], measured: &Measured) -> Option<String> {
        if measured.rows != self.rows {
            return Some(format!("{} rows were expected and {} found", self.rows, measured.rows));
        }
        for ((slot, expected), (values, sum)) in slots.iter().zip(&self.columns).zip(&measured.columns) {
            if *values != expected.values {
                return Some(format!("column {}: {} values were expected that are not NULL, and {values} found", slot.name, expected.values));
            }
            let Some(known) = expected.sum else { continue };
            // The sum of no values is NULL.
            let found = if expected.values == 0 { Some(Exact { amount: 0, scale: 0 }) } else { sum.as_deref().and_then(Exact::parse) };
            if found.is_none_or(|found| found.partial_cmp(&known) != Some(std::cmp::Ordering::Equal)) {
                let shown = sum.as_deref().unwrap_or("NULL");
                return Some(format!("column {}: a sum of {} was expected and {shown} found", slot.name, show(known)));
            }
        }
        None
    }
}

/// Whether two sums are the same number, however many zeros an engine shows at their ends.
pub fn is_same(one: &str, other: &str) -> bool {
    matches!((Exact::parse(one), Exact::parse(other)), (Some(one), Some(other)) if one.partial_cmp(&other) == Some(std::cmp::Ordering::Equal))
}

/// SHA-256 over what a table has come to, in the order of its columns' names: the same for whoever measures it.
pub fn checksum(names: &[&str], measured: &Measured) -> String {
    use std::fmt::Write as _;
    let mut lines: Vec<String> = names
        .iter()
        .zip(&measured.columns)
        .map(|(name, (values, sum))| format!("{name} {values} {}", sum.as_deref().and_then(Exact::parse).map_or_else(|| "-".to_owned(), plain)))
        .collect();
    lines.sort();
    let mut digest = Sha256::new();
    digest.update(format!("rows {}\n{}", measured.rows, lines.join("\n")));
    digest.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into memory does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A sum without zeros at its end, so that it does not matter how many an engine shows.
fn plain(mut sum: Exact) -> String {
    while sum.scale > 0 && sum.amount % 10 == 0 {
        sum = Exact { amount: sum.amount / 10, scale: sum.scale - 1 };
    }
    show(sum)
}

fn show(sum: Exact) -> String {
    let digits = format!("{:0width$}", sum.amount.unsigned_abs(), width = usize::from(sum.scale) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(sum.scale));
    let sign = if sum.amount < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// Whether what goes into a column can be told to come out of it.
pub const fn adds_up(slot: &Slot) -> bool {
    matches!(
        (slot.kind, slot.class),
        (Kind::Bool, Class::Bool | Class::Int(_))
            | (Kind::Int { .. } | Kind::Decimal { .. } | Kind::Text, Class::Int(_) | Class::Decimal(_))
            | (Kind::Text, Class::Text | Class::Bytes)
            | (Kind::Bytes, Class::Bytes)
            | (Kind::Date, Class::Date)
            | (Kind::Timestamp { .. }, Class::Timestamp | Class::TimestampUtc)
    )
}

fn worth(class: Class, value: &Value<'_>) -> Option<Exact> {
    let whole = |amount: i128| Some(Exact { amount, scale: 0 });
    match *value {
        Value::Null | Value::Float32(_) | Value::Float64(_) | Value::Time(_) | Value::Uuid(_) => None,
        Value::Bool(bool) => whole(bool.into()),
        Value::Int(number) => whole(number.into()),
        Value::UInt(number) => whole(number.into()),
        Value::Decimal(amount, scale) => Some(Exact { amount, scale }),
        Value::Text(text) if matches!(class, Class::Int(_) | Class::Decimal(_)) => Exact::parse(text),
        Value::Text(text) => whole(i128::try_from(text.len()).ok()?),
        Value::Bytes(bytes) => whole(i128::try_from(bytes.len()).ok()?),
        Value::Date(days) => whole(days.into()),
        Value::Timestamp(micros, _) => whole(micros.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Vec<Slot> {
        let slot = |name: &str, kind, class| Slot { name: name.into(), kind, class };
        vec![
            slot("id", Kind::Int { bits: 32, signed: true }, Class::Int(4)),
            slot("price", Kind::Decimal { precision: 15, scale: 2 }, Class::Decimal(2)),
            slot("note", Kind::Text, Class::Text),
            slot("csv", Kind::Text, Class::Decimal(2)),
            slot("odd", Kind::Float64, Class::Float64),
        ]
    }

    fn tally(rows: &[[Value<'_>; 5]]) -> Tally {
        let slots = slots();
        let mut tally = Tally::new(&slots);
        for row in rows {
            for (column, (slot, value)) in slots.iter().zip(row).enumerate() {
                tally.put(column, slot, value);
            }
            tally.end_row();
        }
        tally
    }

    const ROWS: [[Value<'static>; 5]; 2] = [
        [Value::Int(1), Value::Decimal(1050, 2), Value::Text("é"), Value::Text("1.5"), Value::Float64(0.1)],
        [Value::Int(-3), Value::Decimal(-5, 2), Value::Null, Value::Text("-.25"), Value::Null],
    ];

    fn measured() -> Measured {
        let some = |text: &str| Some(text.to_owned());
        Measured { rows: 2, columns: vec![(2, some("-2")), (2, some("10.45")), (1, some("2")), (2, some("1.25")), (1, None)] }
    }

    #[test]
    fn what_was_put_in_is_compared_with_what_is_there() {
        let tally = tally(&ROWS);
        assert_eq!(tally.differs(&slots(), &measured()), None);
        let with = |change: fn(&mut Measured)| {
            let mut measured = measured();
            change(&mut measured);
            tally.differs(&slots(), &measured).unwrap_or_default()
        };
        assert_eq!(with(|m| m.rows = 1), "2 rows were expected and 1 found");
        assert_eq!(with(|m| m.columns[2].0 = 2), "column note: 1 values were expected that are not NULL, and 2 found");
        assert_eq!(with(|m| m.columns[1].1 = Some("10.5".into())), "column price: a sum of 10.45 was expected and 10.5 found");
        assert_eq!(with(|m| m.columns[0].1 = None), "column id: a sum of -2 was expected and NULL found");
    }

    #[test]
    fn parts_add_up_to_the_whole_and_to_one_checksum() {
        let mut parts = tally(&ROWS[..1]);
        parts.add(&tally(&ROWS[1..]));
        assert_eq!(parts, tally(&ROWS));
        let names = ["id", "price", "note", "csv", "odd"];
        let mut other = measured();
        other.columns[1].1 = Some("10.450".into());
        assert_eq!(checksum(&names, &measured()), checksum(&names, &other), "zeros at the end do not count");
        other.columns[1].1 = Some("10.451".into());
        assert_ne!(checksum(&names, &measured()), checksum(&names, &other));
    }

    #[test]
    fn slices_of_a_table_come_to_the_whole() {
        let some = |text: &str| Some(text.to_owned());
        let slice = |rows, columns: &[(u64, Option<String>)]| Measured { rows, columns: columns.to_vec() };
        let first = slice(3, &[(3, some("-6")), (2, some("10.50")), (0, None), (3, None)]);
        let none = slice(0, &[(0, None), (0, None), (0, None), (0, None)]);
        let last = slice(1, &[(1, some("4")), (1, some("0.125")), (1, some("7")), (1, None)]);
        assert_eq!(first.and(&none).and(&last), slice(4, &[(4, some("-2")), (3, some("10.625")), (1, some("7")), (4, None)]));
    }

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        let table = [
            ("-12.50", Some((-1250, 2))),
            ("+7", Some((7, 0))),
            (".5", Some((5, 1))),
            ("5.", Some((5, 0))),
            ("0000000000000000000000012345678901234567890.25", Some((1_234_567_890_123_456_789_025, 2))),
            ("170141183460469231731687303715884105727", Some((i128::MAX, 0))),
            ("170141183460469231731687303715884105728", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1.2.3", None),
            ("+-1", None),
            ("1e3", None),
            (" 1", None),
            ("१", None),
        ];
        for (text, expected) in table {
            assert_eq!(Exact::parse(text).map(|Exact { amount, scale }| (amount, scale)), expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_plain_number_is_only_counted() {
        let mut row = ROWS[0];
        row[3] = Value::Text("1e3");
        let tally = tally(&[row]);
        let some = |text: &str| Some(text.to_owned());
        let measured = Measured { rows: 1, columns: vec![(1, some("1")), (1, some("10.50")), (1, some("2")), (1, some("1000.00")), (1, None)] };
        assert_eq!(tally.differs(&slots(), &measured), None);
    }
}
