//! A chat model's reply as it comes: server-sent events, each with a few words.
//!
//! A reply is whole when the server says so, by `[DONE]` or by the reason for its end. Anything else that ends it is a
//! failure, told as such: words that stop must never pass for words that are complete.

use super::AnswerError;
use super::chat::{Chat, MAX_BYTES, MAX_CHARS};
use super::reply;
use super::sse::{Events, Line, TooLong};
use super::thoughts::{Heard, Thoughts};
use crate::domain::Usage;
use crate::provider::Pieces;

/// The chunks of one reply.
pub(super) struct Chunks<'a> {
    chat: &'a Chat,
    /// None once the body has ended.
    pieces: Option<Pieces<'a>>,
    events: Events,
    /// The whole body, where it is no stream but one reply: some servers do not stream whatever they are asked.
    body: Option<Vec<u8>>,
    /// Data that is no whole JSON yet; an event may have several lines.
    part: Vec<u8>,
    thoughts: Thoughts,
    /// Words that wait until it is known whether they are thoughts, of a model that is known to begin with some.
    withheld: Option<String>,
    /// Characters so far.
    chars: usize,
    usage: Usage,
    /// Why the reply ended, once the server has said so.
    finish: Option<String>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Words; never empty.
    Words(String),
    /// The end of a whole reply.
    End {
        /// Whether the limit of model tokens cut it off.
        cut: bool,
        /// What it took, as far as the server says.
        usage: Usage,
    },
}

impl<'a> Chunks<'a> {
    pub(super) fn new(chat: &'a Chat, pieces: Pieces<'a>) -> Self {
        Self {
            chat,
            pieces: Some(pieces),
            events: Events::default(),
            body: None,
            part: Vec::new(),
            thoughts: Thoughts::default(),
            withheld: chat.thinks_aloud().then(String::new),
            chars: 0,
            usage: Usage::default(),
            finish: None,
        }
    }

    /// The next words, or the end. Not to be asked again after the end or an error.
    pub(super) async fn next(&mut self) -> Result<Said, AnswerError> {
        let said = self.read_on().await;
        match &said {
            Ok(Said::Words(_)) => {}
            Ok(Said::End { .. }) => self.chat.count(None),
            Err(error) => self.chat.count(Some(error)),
        }
        said
    }

    async fn read_on(&mut self) -> Result<Said, AnswerError> {
        loop {
            while let Some(line) = self.events.next() {
                let blank = line == Line::Blank;
                if let Line::Data(data) = line {
                    if data == b"[DONE]" && self.part.is_empty() {
                        return self.end();
                    }
                    self.part.extend_from_slice(data);
                    self.part.push(b'\n');
                }
                if let Some(words) = self.event(blank)? {
                    return Ok(Said::Words(words));
                }
            }
            if !self.read().await? {
                return if self.finish.is_some() { self.end() } else { Err(self.chat.unavailable("it broke off")) };
            }
        }
    }

    /// Takes the event that has come, if it has: JSON that is whole, or whatever a blank line ends.
    fn event(&mut self, ended: bool) -> Result<Option<String>, AnswerError> {
        match serde_json::from_slice(&self.part) {
            Ok(chunk) => {
                self.part.clear();
                self.take(&chunk)
            }
            Err(_) if ended && !self.part.is_empty() => {
                Err(self.chat.invalid("a part of its stream is no JSON of the right shape"))
            }
            Err(_) => Ok(None),
        }
    }

    /// Reads on; false when there is no more.
    async fn read(&mut self) -> Result<bool, AnswerError> {
        let Some(pieces) = &mut self.pieces else { return Ok(false) };
        let piece = match pieces.next().await {
            Ok(piece) => piece,
            // A connection that breaks once the reply is whole takes nothing with it.
            Err(_) if self.finish.is_some() => None,
            Err(error) => return Err(self.chat.error(error)),
        };
        let Some(piece) = piece else {
            self.pieces = None;
            return self.end_of_body();
        };
        if self.body.is_none() && self.begins_as_json(&piece) {
            self.body = Some(Vec::new());
        }
        match &mut self.body {
            Some(body) if body.len() + piece.len() > MAX_BYTES => Err(self.chat.invalid("the answer is too long")),
            Some(body) => {
                body.extend_from_slice(&piece);
                Ok(true)
            }
            None => self.push(&piece),
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<bool, AnswerError> {
        let read = self.events.push(piece);
        read.map_err(|TooLong| self.chat.invalid("a line of its stream does not end"))?;
        Ok(true)
    }

    /// Whether a body begins like JSON and not like events.
    fn begins_as_json(&self, piece: &[u8]) -> bool {
        let bare = piece.strip_prefix(b"\xef\xbb\xbf").unwrap_or(piece).trim_ascii_start();
        self.chars == 0 && self.finish.is_none() && !self.events.begun() && bare.starts_with(b"{")
            || bare.starts_with(b"[")
    }

    /// The last line need not have a break. A body that was one reply ends with it, and one of lines of JSON is read as such.
    fn end_of_body(&mut self) -> Result<bool, AnswerError> {
        let Some(body) = self.body.take() else { return self.push(b"\n\n") };
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        let whole = serde_json::from_slice::<serde_json::Value>(text).is_ok();
        let line: Vec<u8> =
            if whole { text.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect() } else { body };
        if whole {
            // A reply that is whole has ended, whatever it says of why.
            self.finish.get_or_insert_with(|| "stop".to_owned());
        }
        self.push(&line)?;
        self.push(b"\n\n")
    }

    /// Notes what a chunk says beside words, and gives the words.
    fn take(&mut self, chunk: &serde_json::Value) -> Result<Option<String>, AnswerError> {
        let said = reply::read(chunk);
        let said = said.ok_or_else(|| self.chat.invalid("a part of its stream is no JSON of the right shape"))?;
        if said.fails {
            return Err(self.chat.unavailable("it broke off with an error"));
        }
        if said.refuses {
            return Err(self.chat.unavailable("it declined to answer"));
        }
        self.usage = said.usage.unwrap_or(self.usage);
        self.finish = said.finish.or_else(|| self.finish.take());
        self.chars += said.words.chars().count();
        if self.chars > MAX_CHARS {
            return Err(self.chat.invalid("the answer is too long"));
        }
        let heard = self.thoughts.hear(&said.words);
        Ok(self.settle(heard).filter(|words| !words.is_empty()))
    }

    /// What may leave of what was heard.
    fn settle(&mut self, heard: Heard) -> Option<String> {
        if heard.unsaid {
            self.chat.note_thinking_aloud();
            // What has left cannot be taken back; what follows begins a paragraph of its own.
            let apart = self.withheld.is_none();
            self.withheld = None;
            return Some(if apart { format!("\n\n{}", heard.words) } else { heard.words });
        }
        match &mut self.withheld {
            Some(withheld) => {
                withheld.push_str(&heard.words);
                None
            }
            None => Some(heard.words),
        }
    }

    /// The end; first come the words that have waited for it.
    fn end(&mut self) -> Result<Said, AnswerError> {
        let heard = self.thoughts.end();
        let last = self.settle(heard).into_iter().chain(self.withheld.take()).collect::<String>();
        if !last.is_empty() {
            self.finish.get_or_insert_with(|| "stop".to_owned());
            self.close();
            return Ok(Said::Words(last));
        }
        let cut = self.chat.ended_cut(self.finish.as_deref())?;
        self.close();
        Ok(Said::End { cut, usage: self.usage })
    }

    fn close(&mut self) {
        if let Some(pieces) = self.pieces.take() {
            pieces.close();
        }
    }
}
