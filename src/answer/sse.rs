//! Server-sent events as chat servers write them: one line of `data:` each.

/// Longest line that is read, bytes.
const LONGEST: usize = 256 << 10;

/// Lines of a stream, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: Vec<u8>,
    /// Bytes of `waiting` that were taken already.
    taken: usize,
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
        self.waiting.drain(..self.taken);
        self.taken = 0;
        self.waiting.extend_from_slice(bytes);
        let open = self.waiting.iter().rev().take_while(|byte| **byte != b'\n').take(LONGEST + 1).count();
        if open > LONGEST { Err(TooLong) } else { Ok(()) }
    }

    /// What the next whole `data:` line says. Comments, blank lines and other fields are skipped.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let rest = &self.waiting[self.taken..];
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let begin = self.taken;
            self.taken += end + 1;
            if self.waiting[begin..].starts_with(b"data:") {
                return Some(self.waiting[begin + 5..begin + end].trim_ascii());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<String> {
        let (mut events, mut read) = (Events::default(), Vec::new());
        for piece in pieces.iter().chain(&["\n"]) {
            events.push(piece.as_bytes()).unwrap();
            while let Some(data) = events.next() {
                read.push(String::from_utf8_lossy(data).into_owned());
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
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut events = Events::default();
        assert_eq!(events.push(&vec![b'x'; LONGEST]), Ok(()));
        assert_eq!(events.push(b"x"), Err(TooLong));
        assert_eq!(Events::default().push(&[b"data: x\n".repeat(1000), vec![b'x'; 9]].concat()), Ok(()));
    }
}
