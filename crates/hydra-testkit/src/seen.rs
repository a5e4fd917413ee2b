//! Everything that somebody could see.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span;

/// Collects log lines, errors with their causes and debug output, so that a test can look for what must not be there.
///
/// It is a subscriber: `tracing::subscriber::with_default(seen.clone(), || ..)` for what happens on one thread, or
/// `set_global_default` for a whole process. Clones share what was seen.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<String>>);

impl Seen {
    /// Notes the debug output of `value`, in both forms.
    pub fn note(&self, value: &impl std::fmt::Debug) {
        self.write(&format!("{value:?} {value:#?}"));
    }

    /// Notes an error and all its causes, as message and as debug output.
    pub fn error(&self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.write(&format!("{error} {error:?} {error:#?}"));
            next = error.source();
        }
    }

    /// All of it.
    ///
    /// # Panics
    /// If a thread panicked while it noted something.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().expect("nobody panicked").clone()
    }

    /// Fails where `secret` was seen.
    ///
    /// # Panics
    /// If it was.
    #[track_caller]
    pub fn holds_no(&self, secret: &str) {
        let text = self.text();
        if let Some(at) = text.find(secret) {
            panic!("seen: {}", text[..at + secret.len()].lines().last().unwrap_or_default());
        }
    }

    fn write(&self, line: &str) {
        writeln!(self.0.lock().expect("nobody panicked"), "{line}").expect("writing to a string cannot fail");
    }
}

impl Visit for Seen {
    fn record_error(&mut self, _: &Field, error: &(dyn Error + 'static)) {
        self.error(error);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.write(&format!("{field}={value:?}"));
    }
}

impl tracing::Subscriber for Seen {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
