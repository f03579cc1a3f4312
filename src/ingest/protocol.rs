//! What parent and worker say to each other over the worker's standard input and output.
//!
//! Frames: a length (four bytes, big-endian), then so many bytes. Asked: one frame of JSON ([`Request`]), one of the
//! document. Answered: one frame of JSON ([`Reply`]), one of the text, which is empty after an error. Both sides know
//! how much they are willing to take and stop reading beyond it.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::domain::{Extracted, Mark};
use crate::ingest::ExtractError;

/// Largest JSON frame, bytes: [`super::draft`] keeps marks and warnings far below.
pub(super) const MAX_HEADER_BYTES: usize = 32 << 20;

/// What the worker is to do, sent ahead of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Request {
    /// The document's file name; helps where content cannot tell formats apart.
    pub name: String,
    /// Largest text, bytes.
    pub max_text_bytes: usize,
    /// Address space the worker allows itself, MiB.
    pub memory_mib: u64,
    /// Processor time the worker allows itself, seconds.
    pub cpu_seconds: u64,
    /// Whether it is to read nothing where the kernel does not filter its system calls.
    pub require_sandbox: bool,
}

/// What the worker found, sent ahead of the text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// All of an [`Extracted`] but its text.
    Extracted { kind: String, title: String, marks: Vec<Mark>, warnings: Vec<String> },
    /// Why there is none.
    Failed { code: String, message: String },
}

/// Splits a result into the reply and the text that follows it.
pub(super) fn pack(result: Result<Extracted, ExtractError>) -> (Reply, String) {
    match result {
        Ok(Extracted { kind, title, text, marks, warnings }) => {
            (Reply::Extracted { kind, title, marks, warnings }, text)
        }
        Err(ExtractError { code, message }) => (Reply::Failed { code: code.to_owned(), message }, String::new()),
    }
}

/// Joins what [`pack`] split, from the bytes of a worker that may have been taken over by its document.
///
/// # Errors
/// The worker's own, or `extraction_crashed` when the bytes are not what a sound worker sends.
pub(super) fn unpack(reply: &[u8], text: Vec<u8>) -> Result<Extracted, ExtractError> {
    let crashed = || ExtractError::crashed();
    let text = String::from_utf8(text).map_err(|_| crashed())?;
    match serde_json::from_slice(reply).map_err(|_| crashed())? {
        Reply::Failed { code, message } => Err(ExtractError::from_wire(&code, message)),
        Reply::Extracted { kind, title, marks, warnings } if marks.iter().all(|mark| is_within(&text, mark)) => {
            Ok(Extracted { kind, title, text, marks, warnings })
        }
        Reply::Extracted { .. } => Err(crashed()),
    }
}

fn is_within(text: &str, mark: &Mark) -> bool {
    text.get(mark.start..mark.end).is_some()
}

/// Writes one frame.
pub(super) fn write_frame(output: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    output.write_all(&frame_length(frame)?)?;
    output.write_all(frame)
}

/// Reads one frame of at most `limit` bytes from the parent, who is trusted to send what it announces.
pub(super) fn read_frame(input: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = checked_length(length, limit)?;
    let mut frame = Vec::with_capacity(length);
    input.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}

/// The four bytes that go ahead of `frame`.
pub(super) fn frame_length(frame: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(frame.len()).map(u32::to_be_bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The length that four bytes announce, if it is within `limit`.
pub(super) fn checked_length(bytes: [u8; 4], limit: usize) -> io::Result<usize> {
    let length = u32::from_be_bytes(bytes) as usize;
    if length <= limit { Ok(length) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MarkKind;

    #[test]
    fn a_frame_longer_than_its_limit_is_not_read() {
        let mut wire = Vec::new();
        write_frame(&mut wire, b"12345").unwrap();
        assert_eq!(read_frame(&mut wire.as_slice(), 5).unwrap(), b"12345");
        assert!(read_frame(&mut wire.as_slice(), 4).is_err());
        assert!(read_frame(&mut &wire[..8], 5).is_err());
    }

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let mark = Mark { start: 0, end: 2, kind: MarkKind::Table { header_end: 1 } };
        let extracted = Extracted {
            kind: "html".into(),
            title: "T".into(),
            text: "äb".into(),
            marks: vec![mark],
            warnings: vec!["w".into()],
        };
        for result in [Ok(extracted), Err(ExtractError::needs_password())] {
            let (reply, text) = pack(result.clone());
            assert_eq!(unpack(&serde_json::to_vec(&reply).unwrap(), text.into_bytes()), result);
        }
    }

    #[test]
    fn a_worker_that_lies_is_a_crashed_worker() {
        let marks = vec![Mark { start: 0, end: 1, kind: MarkKind::Code }];
        let reply = Reply::Extracted { kind: "text".into(), title: String::new(), marks, warnings: vec![] };
        let inside_a_character = unpack(&serde_json::to_vec(&reply).unwrap(), "ä".into());
        let no_text = unpack(&serde_json::to_vec(&reply).unwrap(), vec![0xff]);
        let unknown_code = unpack(br#"{"failed":{"code":"rm -rf","message":"m"}}"#, vec![]);
        for result in [inside_a_character, no_text, unknown_code, unpack(b"{", vec![])] {
            assert_eq!(result.unwrap_err().code, "extraction_crashed");
        }
    }
}
