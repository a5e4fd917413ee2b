//! Server-sent events, cut into chunks anywhere.
//!
//! # Source
//! WHATWG HTML, section 9.2.6, "Interpreting an event stream". **Differs:** an event that the stream ends in is given
//! all the same, because servers leave the last blank line out.

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    /// Its type, empty if it has none.
    pub(crate) name: String,
    /// Its data lines, joined by line breaks.
    pub(crate) data: String,
}

/// Takes bytes as they come and gives whole events. Characters, lines and line ends may be cut anywhere.
#[derive(Debug)]
pub(crate) struct Decoder {
    most: usize,
    /// The line so far.
    line: Vec<u8>,
    /// The event so far.
    name: String,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed after it belongs to it.
    after_return: bool,
    at_start: bool,
}

/// An event that is longer than allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooLong;

impl Decoder {
    /// For events of at most `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, line: Vec::new(), name: String::new(), data: None, after_return: false, at_start: true }
    }

    /// Takes the next bytes and appends the events that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r') {
            let (line, end_of_line) = (&rest[..end], rest[end]);
            rest = &rest[end + 1..];
            let second_half = self.after_return && line.is_empty() && end_of_line == b'\n';
            self.after_return = end_of_line == b'\r';
            if !second_half {
                self.line.extend_from_slice(line);
                self.end_line(events);
            }
        }
        if !rest.is_empty() {
            self.after_return = false;
            self.line.extend_from_slice(rest);
        }
        if self.line.len() + self.data.as_ref().map_or(0, String::len) > self.most {
            return Err(TooLong);
        }
        Ok(())
    }

    /// The event that the stream ended in, if it holds anything.
    pub(crate) fn finish(mut self) -> Option<Event> {
        let mut events = Vec::new();
        self.end_line(&mut events);
        self.end_event(&mut events);
        events.pop()
    }

    fn end_line(&mut self, events: &mut Vec<Event>) {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let mut line = &*line;
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            self.end_event(events);
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            "event" => value.clone_into(&mut self.name),
            // A comment has an empty field name. `id` and `retry` are about connecting again, which we do not.
            _ => {}
        }
    }

    fn end_event(&mut self, events: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            events.push(Event { name, data });
        }
    }
}

/// Whether a whole body is a stream that nobody asked for.
pub(crate) fn looks_like_events(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    [b"data:" as &[u8], b"event:", b":"].iter().any(|mark| start.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(chunks: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk, &mut events).unwrap();
        }
        events.extend(decoder.finish());
        events
    }

    fn data(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.data.as_str()).collect()
    }

    /// The examples of the specification's section 9.2.6 and the forms that servers send.
    #[test]
    fn streams_are_read_as_the_specification_says() {
        for (stream, expected) in [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", &["YHOO\n+2\n10"] as &[&str]),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                &["first event", "second event", " third event"],
            ),
            ("data\n\ndata\ndata\n\ndata:\n\n", &["", "\n", ""]),
            ("data:test\n\ndata: test\n\n", &["test", "test"]),
            ("\u{feff}data: a\r\n\r\ndata: b\r\rdata: c\n\n", &["a", "b", "c"]),
            ("data: the end is not marked", &["the end is not marked"]),
            ("retry: 10\nevent: ping\n\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(data(&decode(&[stream.as_bytes()])), expected, "{stream:?}");
        }
    }

    #[test]
    fn an_event_has_the_name_that_stands_before_its_data() {
        let events = decode(&[b"event: error\ndata: x\n\ndata: y\n\n"]);
        assert_eq!((events[0].name.as_str(), events[1].name.as_str()), ("error", ""));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut decoder = Decoder::new(100);
        let mut events = Vec::new();
        assert_eq!(decoder.push(&[b'x'; 101], &mut events), Err(TooLong));
        let mut decoder = Decoder::new(100);
        let many = (0..200).try_for_each(|_| decoder.push(b"data: x\n", &mut events));
        assert_eq!(many, Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_makes_no_difference(
            lines in prop::collection::vec("(data:|data: |event: |: |)[a-cäß語🙂]{0,6}(\n|\r\n|\r)", 0..20),
            mut cuts in prop::collection::vec(0usize..200, 0..10),
        ) {
            let stream = lines.concat().into_bytes();
            cuts.extend([0, stream.len()]);
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(stream.len()));
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(&chunks), decode(&[&stream]));
        }
    }
}
