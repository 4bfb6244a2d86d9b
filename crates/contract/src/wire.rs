//! The bytes: Avro's binary primitives, and the Confluent header in front of a datum.

use crate::DecodeError;

/// First byte of the Confluent wire format.
const MAGIC: u8 = 0;
/// Magic byte and schema id.
const HEADER: usize = 5;

/// Starts a record value: magic byte and the schema's id in the registry.
pub(crate) fn header(schema_id: u32, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + capacity);
    out.push(MAGIC);
    out.extend_from_slice(&schema_id.to_be_bytes());
    out
}

/// Splits a record value in the Confluent wire format into the id of its schema and its Avro datum.
///
/// # Errors
/// [`DecodeError::Wire`] if the magic byte or the id is missing.
pub fn split_wire(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match value {
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(DecodeError::Wire { length: value.len(), first: value.first().copied() }),
    }
}

/// Avro `int` and `long`: zigzag, then seven bits a byte, lowest first.
pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest > 0x7f {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// Avro `bytes` and `string`.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A length or a number of items.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_long(out, i64::try_from(count).unwrap_or(i64::MAX));
}

/// Avro `decimal` on `bytes`: big-endian two's complement without needless sign bytes.
pub(crate) fn put_decimal(out: &mut Vec<u8>, unscaled: i128) {
    let bytes = unscaled.to_be_bytes();
    let fill = if unscaled < 0 { 0xff } else { 0 };
    let mut start = 0;
    while start < 15 && bytes[start] == fill && (bytes[start + 1] ^ fill) & 0x80 == 0 {
        start += 1;
    }
    put_bytes(out, &bytes[start..]);
}

/// An optional string: a union of null and string, in this order.
pub(crate) fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    put_long(out, i64::from(text.is_some()));
    if let Some(text) = text {
        put_bytes(out, text.as_bytes());
    }
}

/// What is left of a datum.
pub(crate) struct Datum<'a>(pub(crate) &'a [u8]);

impl<'a> Datum<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) =
            self.0.split_at_checked(length).ok_or(DecodeError::Damaged("it ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn long(&mut self) -> Result<i64, DecodeError> {
        let mut zigzag: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            zigzag |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()));
            }
        }
        Err(DecodeError::Damaged("a number has more than 64 bits"))
    }

    pub(crate) fn int(&mut self) -> Result<i32, DecodeError> {
        i32::try_from(self.long()?).map_err(|_| DecodeError::Damaged("an int has more than 32 bits"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| DecodeError::Damaged("a length is negative"))?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Damaged("a string is not UTF-8"))
    }

    /// The number of items in the next block of an array or map; 0 ends it.
    ///
    /// Every item takes a byte at least in a schema of ours, so that a count beyond the rest of the datum is a lie.
    pub(crate) fn block(&mut self) -> Result<usize, DecodeError> {
        let count = self.long()?;
        if count < 0 {
            self.long()?; // the block's size in bytes, which only a reader that skips needs
        }
        match usize::try_from(count.unsigned_abs()) {
            Ok(count) if count <= self.0.len() => Ok(count),
            _ => Err(DecodeError::Damaged("a block has more items than bytes")),
        }
    }

    pub(crate) fn decimal(&mut self) -> Result<i128, DecodeError> {
        let bytes = self.bytes()?;
        let first = *bytes.first().ok_or(DecodeError::Damaged("a decimal has no bytes"))?;
        let mut wide = [if first & 0x80 == 0 { 0 } else { 0xff }; 16];
        let start =
            16usize.checked_sub(bytes.len()).ok_or(DecodeError::Damaged("a decimal has too many bytes"))?;
        wide[start..].copy_from_slice(bytes);
        Ok(i128::from_be_bytes(wide))
    }

    /// Bytes behind the last field would mean that reader and writer disagree about the schema.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Damaged("there are bytes behind its end")) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn longs_round_trip_and_match_the_specification() {
        for (value, bytes) in [(0, "00"), (-1, "01"), (1, "02"), (-64, "7f"), (64, "8001")] {
            let mut out = Vec::new();
            put_long(&mut out, value);
            assert_eq!(hex::encode(&out), bytes);
        }
        for value in [0, 1, -1, 63, 64, i64::MAX, i64::MIN, 1 << 40] {
            let mut out = Vec::new();
            put_long(&mut out, value);
            assert_eq!(Datum(&out).long().unwrap(), value);
        }
        assert!(Datum(&[0xff; 10]).long().is_err(), "no end within ten bytes");
        assert!(Datum(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).long().is_err());
    }

    #[test]
    fn decimals_have_the_shortest_form() {
        for (value, bytes) in
            [(0, "0200"), (127, "027f"), (128, "040080"), (-1, "02ff"), (-128, "0280"), (-129, "04ff7f")]
        {
            let mut out = Vec::new();
            put_decimal(&mut out, value);
            assert_eq!(hex::encode(&out), bytes, "{value}");
            assert_eq!(Datum(&out).decimal().unwrap(), value);
        }
    }

    #[test]
    fn the_header_is_checked() {
        assert_eq!(split_wire(&[0, 0, 0, 1, 2, 9]).unwrap(), (258, &[9u8][..]));
        assert!(matches!(split_wire(&[1, 0, 0, 0, 0]), Err(DecodeError::Wire { length: 5, first: Some(1) })));
        assert!(matches!(split_wire(&[0, 0]), Err(DecodeError::Wire { length: 2, first: Some(0) })));
        assert!(matches!(split_wire(&[]), Err(DecodeError::Wire { length: 0, first: None })));
    }

    #[test]
    fn a_block_cannot_claim_more_items_than_bytes() {
        let mut lie = Vec::new();
        put_long(&mut lie, i64::MIN);
        lie.push(0);
        assert!(Datum(&lie).block().is_err());
    }
}
