//! A record of the past as if it were asked today.

use hydra_types::{Record, Time};

/// A record of the past as if it were asked today: its input is the query, its output the answer that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PseudoQuery<'a> {
    record: &'a Record,
    earlier: &'a [Record],
}

impl<'a> PseudoQuery<'a> {
    /// `history`: in time order.
    pub(super) fn new(record: &'a Record, history: &'a [Record]) -> Self {
        let now = record.time();
        Self { record, earlier: &history[..history.partition_point(|other| other.time() < now)] }
    }

    /// Which record it is.
    #[must_use]
    pub fn record(&self) -> &'a Record {
        self.record
    }

    /// When it was asked.
    #[must_use]
    pub fn time(&self) -> Time {
        self.record.time()
    }

    /// What may be known at that moment: the records that are strictly older, oldest first. Never empty.
    #[must_use]
    pub fn earlier(&self) -> &'a [Record] {
        self.earlier
    }
}
