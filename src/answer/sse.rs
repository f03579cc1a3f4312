//! Server-sent events as chat servers write them: one line of `data:` each.

/// Longest line that is read, bytes.
const LONGEST: usize = 256 << 10;

/// Lines of a stream, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: Vec<u8>,
    /// Bytes of `waiting` that were taken already.
    taken: usize,
    /// Whether anything has come.
    begun: bool,
}

/// A line is longer than [`LONGEST`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Adds what came.
    ///
    /// # Errors
    /// When a line does not end.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.begun = true;
        self.waiting.drain(..self.taken);
        self.taken = 0;
        self.waiting.extend_from_slice(bytes);
        let open = self.waiting.iter().rev().take_while(|byte| **byte != b'\n').take(LONGEST + 1).count();
        if open > LONGEST { Err(TooLong) } else { Ok(()) }
    }

    /// Whether anything has come.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The next whole line that says something: data, or the end of an event. Comments and other fields are skipped. A line
    /// that is JSON by itself counts as data, as some servers leave the field's name out.
    pub(super) fn next(&mut self) -> Option<Line<'_>> {
        loop {
            let rest = &self.waiting[self.taken..];
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let begin = self.taken;
            self.taken += end + 1;
            // A byte order mark may stand ahead of the first.
            let mark: &[u8] = b"\xef\xbb\xbf";
            let skipped = if self.waiting[begin..].starts_with(mark) { mark.len() } else { 0 };
            let line = self.waiting[begin + skipped..begin + end].trim_ascii();
            let length = line.len();
            let data = line.starts_with(b"data:");
            if length == 0 || data || line.starts_with(b"{") || line.starts_with(b"[{") {
                let line = self.waiting[begin + skipped..begin + end].trim_ascii();
                return Some(match length {
                    0 => Line::Blank,
                    _ if data => Line::Data(line[5..].trim_ascii()),
                    _ => Line::Data(line),
                });
            }
        }
    }
}

/// A line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// What a `data:` line says.
    Data(&'a [u8]),
    /// An empty line, which ends an event.
    Blank,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<String> {
        let (mut events, mut read) = (Events::default(), Vec::new());
        for piece in pieces.iter().chain(&["\n"]) {
            events.push(piece.as_bytes()).unwrap();
            while let Some(line) = events.next() {
                if let Line::Data(data) = line {
                    read.push(String::from_utf8_lossy(data).into_owned());
                }
            }
        }
        read
    }

    #[test]
    fn data_is_read_however_it_is_cut_and_the_rest_skipped() {
        let stream = ": keep-alive\n\nevent: x\ndata: {\"a\": 1}\r\n\ndata:two\nid: 7\ngarbage\n\ndata: [DONE]";
        let wanted = ["{\"a\": 1}", "two", "[DONE]"];
        assert_eq!(read(&[stream]), wanted);
        let bytes: Vec<String> = stream.chars().map(String::from).collect();
        assert_eq!(read(&bytes.iter().map(String::as_str).collect::<Vec<_>>()), wanted);
        assert_eq!(read(&["\u{feff}data: one\r\ndata: two\r\n{\"three\": 3}"]), ["one", "two", "{\"three\": 3}"]);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut events = Events::default();
        assert_eq!(events.push(&vec![b'x'; LONGEST]), Ok(()));
        assert_eq!(events.push(b"x"), Err(TooLong));
        assert_eq!(Events::default().push(&[b"data: x\n".repeat(1000), vec![b'x'; 9]].concat()), Ok(()));
    }
}
