//! Which records a search may return.

use hydra_types::{RecordId, Time};

/// A set of tags, which are numbers from 0 to 63 whose meaning is the application's.
///
/// One word, so that filtering a hundred thousand records by tag takes microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Tags(u64);

impl Tags {
    /// No tag.
    pub const NONE: Self = Self(0);

    /// The set whose tag `i` is there if bit `i` is set.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bit `i` is set if tag `i` is there.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// This set and `tag`.
    ///
    /// # Panics
    /// If `tag` is more than 63.
    #[must_use]
    pub const fn with(self, tag: u8) -> Self {
        assert!(tag < 64, "tags are numbers from 0 to 63");
        Self(self.0 | 1 << tag)
    }
}

/// Which records a search may return. Conditions add up; the default admits every record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Filter {
    before: Option<Time>,
    any_of: Option<Tags>,
    all_of: Tags,
    without: Vec<RecordId>,
}

impl Filter {
    /// Every record.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only records from before `time`, so that what came later cannot leak into an earlier query.
    #[must_use]
    pub fn before(mut self, time: Time) -> Self {
        self.before = Some(self.before.map_or(time, |earlier| earlier.min(time)));
        self
    }

    /// Not these records. A record that stands for the query itself belongs here.
    #[must_use]
    pub fn without(mut self, ids: impl IntoIterator<Item = RecordId>) -> Self {
        self.without.extend(ids);
        self.without.sort_unstable();
        self.without.dedup();
        self
    }

    /// Only records with at least one of `tags`; none at all if `tags` is empty. A later call replaces an earlier one.
    #[must_use]
    pub fn with_any_tag(mut self, tags: Tags) -> Self {
        self.any_of = Some(tags);
        self
    }

    /// Only records with all of `tags`.
    #[must_use]
    pub fn with_all_tags(mut self, tags: Tags) -> Self {
        self.all_of = Tags(self.all_of.0 | tags.0);
        self
    }

    /// Whether a record may be returned.
    #[must_use]
    pub fn admits(&self, id: RecordId, time: Time, tags: Tags) -> bool {
        self.before.is_none_or(|before| time < before)
            && self.any_of.is_none_or(|any_of| tags.0 & any_of.0 != 0)
            && tags.0 & self.all_of.0 == self.all_of.0
            && (self.without.is_empty() || self.without.binary_search(&id).is_err())
    }

    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }
}
