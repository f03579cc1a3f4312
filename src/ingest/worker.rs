//! The worker: a process of its own that reads one document and can do nothing else.
//!
//! Readers meet whatever strangers upload, so they run where a crash, a loop or a takeover costs one document: no
//! files, no sockets, no children, bounded memory and processor time, and a parent that kills it when time is up.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::ingest::protocol::{MAX_HEADER_BYTES, Request, pack, read_frame, write_frame};
use crate::ingest::sandbox::confine;
use crate::ingest::{ExtractError, ReadLimits, extract_here};

/// Runs the worker: confines this process, reads one document from standard input, answers on standard output.
///
/// Call it first thing in `main`, before threads or files exist. The exit code says whether an answer was written;
/// whether the document could be read stands in the answer.
pub fn run_worker() -> ExitCode {
    // What a panic prints may quote the document.
    std::panic::set_hook(Box::new(|_| {}));
    match serve(&mut io::stdin().lock(), &mut io::stdout().lock(), confine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads a request, lets `confine` take the rights away, reads the document and answers.
fn serve(
    input: &mut impl Read,
    output: &mut impl Write,
    confine: impl FnOnce(&Request) -> io::Result<()>,
) -> io::Result<()> {
    let request: Request = serde_json::from_slice(&read_frame(input, MAX_HEADER_BYTES)?)?;
    confine(&request)?;
    let bytes = read_frame(input, u32::MAX as usize)?;
    let limits = ReadLimits { max_text_bytes: request.max_text_bytes };
    let result = catch_unwind(AssertUnwindSafe(|| extract_here(&request.name, &bytes, &limits)));
    let (reply, text) = pack(result.unwrap_or_else(|_| Err(ExtractError::crashed())));
    write_frame(output, &serde_json::to_vec(&reply)?)?;
    write_frame(output, text.as_bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::protocol::unpack;

    fn answer(name: &str, bytes: &[u8]) -> Result<crate::domain::Extracted, ExtractError> {
        let request = Request { name: name.into(), max_text_bytes: 1 << 20, memory_mib: 512, ..Request::default() };
        let (mut input, mut output) = (Vec::new(), Vec::new());
        write_frame(&mut input, &serde_json::to_vec(&request).unwrap()).unwrap();
        write_frame(&mut input, bytes).unwrap();
        serve(&mut input.as_slice(), &mut output, |_| Ok(())).unwrap();
        let mut output = output.as_slice();
        let reply = read_frame(&mut output, MAX_HEADER_BYTES).unwrap();
        unpack(&reply, read_frame(&mut output, 1 << 20).unwrap())
    }

    #[test]
    fn a_document_goes_in_and_its_text_comes_out() {
        let extracted = answer("notes.md", "# Hello\n\nwörld".as_bytes()).unwrap();
        assert_eq!((extracted.kind.as_str(), extracted.text.as_str()), ("markdown", "# Hello\n\nwörld"));
    }

    #[test]
    fn a_document_that_cannot_be_read_is_an_answer_too() {
        assert_eq!(answer("nothing.txt", b"").unwrap_err().code, "empty_file");
    }

    #[test]
    fn nothing_is_read_before_the_process_is_confined() {
        let mut wire = Vec::new();
        let request = Request::default();
        write_frame(&mut wire, &serde_json::to_vec(&request).unwrap()).unwrap();
        let refuse = |_: &Request| Err(io::ErrorKind::PermissionDenied.into());
        let mut output = Vec::new();
        let error = serve(&mut wire.as_slice(), &mut output, refuse).unwrap_err();
        assert_eq!((error.kind(), output.len()), (io::ErrorKind::PermissionDenied, 0));
    }
}
