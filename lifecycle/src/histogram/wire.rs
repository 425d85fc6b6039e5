//! HdrHistogram's V2 wire format: a header, then the counters as `ZigZag` LEB128 numbers, a negative one for a run of
//! zeros; mostly deflated, always base64 here. Written by workers and read by every HDR tool.
//!
//! The reader trusts nothing: sizes are bounded before anything is allocated, and every counter has its place.

use std::io::{Read, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};

use super::{COUNTERS, HIGHEST, LOWEST};

const COOKIE: u32 = 0x1c84_9313;
const COMPRESSED_COOKIE: u32 = 0x1c84_9314;
const HEADER: usize = 40;
/// No histogram of this layout is longer, even with nine bytes for each counter.
const LONGEST: usize = HEADER + COUNTERS * 9;

/// Why a text is not a histogram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The text is not base64.
    #[error("is not base64")]
    NotBase64,
    /// The bytes are not a V2 histogram, or they break off.
    #[error("is not a complete HdrHistogram of format V2")]
    NotAHistogram,
    /// The histogram counts in other steps.
    #[error("is not a histogram of microseconds with 3 significant digits")]
    OtherLayout,
    /// The histogram is larger than any of this layout.
    #[error("is larger than any histogram of 1 microsecond to 1 hour")]
    TooLarge,
}

/// The counters of a histogram, by index, only what is not zero.
pub(super) fn decode(text: &str) -> Result<Vec<(usize, u64)>, WireError> {
    if text.len() > LONGEST * 4 / 3 + 64 {
        return Err(WireError::TooLarge);
    }
    let bytes = STANDARD.decode(text.trim()).map_err(|_| WireError::NotBase64)?;
    match bytes.split_at_checked(8) {
        Some((head, deflated)) if number(head, 0) == COMPRESSED_COOKIE => counters(&inflate(deflated)?),
        Some((head, _)) if number(head, 0) == COOKIE => counters(&bytes),
        _ => Err(WireError::NotAHistogram),
    }
}

fn inflate(deflated: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(deflated).take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(|_| WireError::NotAHistogram)?;
    if bytes.len() > LONGEST { Err(WireError::TooLarge) } else { Ok(bytes) }
}

fn counters(bytes: &[u8]) -> Result<Vec<(usize, u64)>, WireError> {
    let (header, mut payload) = bytes.split_at_checked(HEADER).ok_or(WireError::NotAHistogram)?;
    if number(header, 0) != COOKIE || number(header, 4) as usize != payload.len() {
        return Err(WireError::NotAHistogram);
    }
    let (offset, digits) = (number(header, 8), number(header, 12));
    let lowest = u64::from(number(header, 16)) << 32 | u64::from(number(header, 20));
    let ratio = u64::from(number(header, 32)) << 32 | u64::from(number(header, 36));
    if offset != 0 || digits != 3 || lowest != LOWEST || ratio != 1.0_f64.to_bits() {
        return Err(WireError::OtherLayout);
    }
    let mut found = Vec::new();
    let mut index: usize = 0;
    while !payload.is_empty() {
        let value = take_varint(&mut payload).ok_or(WireError::NotAHistogram)?;
        let Ok(count) = u64::try_from(value) else {
            let zeros = usize::try_from(value.unsigned_abs()).map_err(|_| WireError::TooLarge)?;
            index = index.saturating_add(zeros);
            continue;
        };
        if count > 0 {
            if index >= COUNTERS {
                return Err(WireError::TooLarge);
            }
            found.push((index, count));
        }
        index = index.saturating_add(1);
    }
    Ok(found)
}

/// The big-endian number of four bytes at `at`, which lie within `bytes`.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.iter().skip(at).take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// A `ZigZag` number of at most nine bytes; the ninth has eight bits.
fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for position in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let last = position == 8 || byte & 0x80 == 0;
        let bits = if position == 8 { *byte } else { byte & 0x7f };
        value |= u64::from(bits) << (7 * position);
        if last {
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

/// `counters` come in the order of their indices.
pub(super) fn encode(counters: impl Iterator<Item = (usize, u64)>) -> String {
    let mut payload = Vec::new();
    let mut next = 0;
    for (index, count) in counters {
        match index - next {
            0 => {}
            1 => payload.push(0),
            zeros => put_varint(&mut payload, -i64::try_from(zeros).unwrap_or(i64::MAX)),
        }
        put_varint(&mut payload, i64::try_from(count).unwrap_or(i64::MAX));
        next = index + 1;
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(COOKIE.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 3]);
    bytes.extend(LOWEST.to_be_bytes());
    bytes.extend(HIGHEST.to_be_bytes());
    bytes.extend(1.0_f64.to_be_bytes());
    bytes.extend(payload);

    let deflated = deflate(&bytes);
    let mut out = Vec::with_capacity(8 + deflated.len());
    out.extend(COMPRESSED_COOKIE.to_be_bytes());
    out.extend(u32::try_from(deflated.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(deflated);
    STANDARD.encode(out)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn put_varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    for position in 0..9 {
        let [low, ..] = rest.to_le_bytes();
        if position == 8 || rest < 0x80 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
        rest >>= 7;
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::{
        Histogram as Reference,
        serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::histogram::Histogram;

    fn reference(latencies: &[u64]) -> Reference<u64> {
        let mut reference = Reference::new_with_bounds(LOWEST, HIGHEST, 3).unwrap();
        for micros in latencies {
            reference.record(*micros).unwrap();
        }
        reference
    }

    fn plain(payload: &[u8]) -> String {
        let mut bytes = vec![0x1c, 0x84, 0x93, 0x13];
        bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 3]);
        bytes.extend(1_u64.to_be_bytes());
        bytes.extend(3_600_000_000_u64.to_be_bytes());
        bytes.extend(1.0_f64.to_be_bytes());
        bytes.extend(payload);
        STANDARD.encode(bytes)
    }

    #[test]
    fn a_plain_text_is_read_counter_by_counter() {
        assert_eq!(decode(&plain(&[1, 4, 0, 3, 6])), Ok(vec![(1, 2), (5, 3)]));
        assert_eq!(decode(&plain(&[])), Ok(vec![]));
    }

    #[test]
    fn every_defect_has_its_name() {
        let too_far = [0xff, 0xff, 0xff, 0xff, 0x0f, 2];
        let lowest_number = [0xff; 9];
        let mut other_digits = STANDARD.decode(plain(&[2])).unwrap();
        other_digits[15] = 2;
        let mut wrong_length = STANDARD.decode(plain(&[2])).unwrap();
        wrong_length[7] = 200;
        let bomb = {
            let mut out = vec![0x1c, 0x84, 0x93, 0x14, 0, 0, 0, 0];
            out.extend(deflate(&vec![0; 3_000_000]));
            STANDARD.encode(out)
        };
        let cases = [
            ("not base64!", WireError::NotBase64),
            ("", WireError::NotAHistogram),
            ("AAAAAAAAAAAAAAAA", WireError::NotAHistogram),
            (&plain(&[0x80]), WireError::NotAHistogram),
            (&plain(&too_far), WireError::TooLarge),
            (&plain(&[&lowest_number[..], &[2]].concat()), WireError::TooLarge),
            (&STANDARD.encode(other_digits), WireError::OtherLayout),
            (&STANDARD.encode(wrong_length), WireError::NotAHistogram),
            (&"A".repeat(400_000), WireError::TooLarge),
            (&bomb, WireError::TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(decode(text), Err(error), "{}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn a_broken_text_adds_nothing() {
        let mut histogram = Histogram::new();
        histogram.record(7);
        assert_eq!(histogram.add_encoded(&plain(&[2, 0x80])), Err(WireError::NotAHistogram));
        assert_eq!(histogram.count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_reference_implementation_reads_what_we_write(latencies in prop::collection::vec(1..=HIGHEST, 0..200)) {
            let ours: Histogram = latencies.iter().copied().collect();
            let bytes = STANDARD.decode(ours.encode()).unwrap();
            let read: Reference<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            prop_assert_eq!(read, reference(&latencies));
            prop_assert_eq!(Histogram::decode(&ours.encode()), Ok(ours));
        }

        #[test]
        fn we_read_what_the_reference_implementation_writes(latencies in prop::collection::vec(1..=HIGHEST, 0..200)) {
            let ours: Histogram = latencies.iter().copied().collect();
            let (mut deflated, mut flat) = (Vec::new(), Vec::new());
            V2DeflateSerializer::new().serialize(&reference(&latencies), &mut deflated).unwrap();
            V2Serializer::new().serialize(&reference(&latencies), &mut flat).unwrap();
            prop_assert_eq!(Histogram::decode(&STANDARD.encode(deflated)), Ok(ours.clone()));
            prop_assert_eq!(Histogram::decode(&STANDARD.encode(flat)), Ok(ours));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&text);
            let _ = decode(&STANDARD.encode(&bytes));
            let _ = decode(&plain(&bytes));
        }
    }
}
