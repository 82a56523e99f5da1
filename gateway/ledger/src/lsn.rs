//! Where a record stands in the spool ("log sequence number").

/// Segment and offset of a record; ordered as records were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lsn {
    pub(crate) segment: u64,
    /// Offset in the segment's file, bytes; 0 stands for its first record.
    pub(crate) offset: u64,
}
