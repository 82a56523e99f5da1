//! Encoder of `RowBinaryWithNamesAndTypes`: the one form in which rows reach any engine.
//!
//! Layout: number of columns, their names, their types, then the values row by row without separators.
//! Numbers are little endian; lengths are LEB128.

use bytes::Bytes;
use tollgate_schemas::money::Pico;
use uuid::Uuid;

use super::engine::Block;

/// A column: its name, its exact ClickHouse type (the engine refuses a block whose types differ from the table's),
/// and what appends its value.
pub type Column<R> = (&'static str, &'static str, fn(&R, &mut RowWriter));

/// A row of a ledger table.
pub trait LedgerRow: Sized + 'static {
    /// The table.
    const TABLE: &'static str;
    /// The columns, in the order in which they are written.
    const COLUMNS: &'static [Column<Self>];
}

/// Encodes rows into a block; `None` if there are no rows.
#[must_use]
pub fn encode<R: LedgerRow>(rows: &[R], token: Option<String>) -> Option<Block> {
    if rows.is_empty() {
        return None;
    }
    let mut out = RowWriter { bytes: Vec::with_capacity(1024 + rows.len() * 512) };
    out.length(R::COLUMNS.len());
    R::COLUMNS.iter().for_each(|(name, ..)| out.text(name));
    R::COLUMNS.iter().for_each(|(_, kind, _)| out.text(kind));
    for row in rows {
        R::COLUMNS.iter().for_each(|(.., write)| write(row, &mut out));
    }
    let names: Vec<_> = R::COLUMNS.iter().map(|(name, ..)| format!("`{name}`")).collect();
    Some(Block {
        table: R::TABLE,
        columns: names.join(","),
        rows: rows.len(),
        data: Bytes::from(out.bytes),
        token,
    })
}

/// Writes values in RowBinary.
#[derive(Debug, Default)]
pub struct RowWriter {
    bytes: Vec<u8>,
}

impl RowWriter {
    /// LEB128, for lengths of strings, arrays and maps.
    pub fn length(&mut self, mut value: usize) {
        while value > 0x7f {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// `String`, also inside `LowCardinality`.
    pub fn text(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }

    /// `String`, empty for `None`.
    pub fn optional_text(&mut self, value: Option<&str>) {
        self.text(value.unwrap_or_default());
    }

    /// `String` that need not be UTF-8.
    pub fn blob(&mut self, value: &[u8]) {
        self.length(value.len());
        self.bytes.extend_from_slice(value);
    }

    /// `UInt8`.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// `UInt16`.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// `UInt32`.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// `UInt64`.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// `DateTime64(3)`: ms since the Unix epoch.
    pub fn time_ms(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// `Decimal(38, 12)`.
    pub fn money(&mut self, value: Pico) {
        self.bytes.extend_from_slice(&value.0.to_le_bytes());
    }

    /// `UUID`: two little-endian halves, the high one first.
    pub fn uuid(&mut self, value: Uuid) {
        let (high, low) = value.as_u64_pair();
        self.u64(high);
        self.u64(low);
    }

    /// `Nullable(UUID)`.
    pub fn optional_uuid(&mut self, value: Option<Uuid>) {
        self.u8(u8::from(value.is_none()));
        if let Some(value) = value {
            self.uuid(value);
        }
    }

    /// `Array(T)`.
    pub fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(items.len());
        items.iter().for_each(|item| write(self, item));
    }

    /// `Map(String, String)`.
    pub fn map<K: AsRef<str>, V: AsRef<[u8]>>(&mut self, pairs: impl ExactSizeIterator<Item = (K, V)>) {
        self.length(pairs.len());
        for (key, value) in pairs {
            self.text(key.as_ref());
            self.blob(value.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(u16, &'static str);

    impl LedgerRow for Pair {
        const TABLE: &'static str = "pairs";
        const COLUMNS: &'static [Column<Self>] =
            &[("n", "UInt16", |row, out| out.u16(row.0)), ("s", "String", |row, out| out.text(row.1))];
    }

    #[test]
    fn a_block_names_its_columns_and_types_before_its_rows() {
        let block = encode(&[Pair(258, "x"), Pair(1, "")], None).unwrap();
        assert_eq!(block.columns, "`n`,`s`");
        assert_eq!(block.rows, 2);
        let expected: &[u8] = b"\x02\x01n\x01s\x06UInt16\x06String\x02\x01\x01x\x01\x00\x00";
        assert_eq!(&block.data[..], expected);
    }

    #[test]
    fn no_rows_are_no_block() {
        assert!(encode::<Pair>(&[], None).is_none());
    }

    #[test]
    fn lengths_above_127_take_more_bytes() {
        let mut out = RowWriter::default();
        out.length(300);
        assert_eq!(out.bytes, [0xac, 0x02]);
    }
}
