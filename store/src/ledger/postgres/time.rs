//! Instants as Postgres has them: microseconds since the year 2000.

use jiff::Timestamp;
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef, types::Oid},
};

/// The type's number, the same in every Postgres.
const TIMESTAMPTZ: Oid = Oid(1184);
/// 2000-01-01T00:00:00Z in microseconds of Unix time.
const EPOCH: i64 = 946_684_800_000_000;

/// An instant on its way to Postgres or back. `infinity`, and whatever else is beyond our years, becomes our last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgTime(pub Timestamp);

impl PgTime {
    /// Later than any run.
    pub const END: Self = Self(Timestamp::MAX);
}

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Postgres>>::encode(self.0.as_microsecond().saturating_sub(EPOCH), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for PgTime {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("a time came as text although binary was asked for".into());
        }
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        let beyond = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Ok(Self(Timestamp::from_microsecond(micros.saturating_add(EPOCH)).unwrap_or(beyond)))
    }
}
