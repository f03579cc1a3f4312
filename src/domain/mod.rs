//! The words everything else speaks: ids, documents, chunks, questions, hits, answers.
//!
//! Pure values: no input or output, no async, no library of another layer. A value that exists here is valid; parsing
//! is the only way in, so nothing below re-checks.

mod answer;
pub mod asking;
pub mod codes;
pub mod compounds;
mod conversation;
mod document;
mod filter;
mod function_words;
mod golden;
mod ids;
mod job;
pub mod languages;
mod letters;
mod question;
mod time;

pub use answer::{Answer, Citation, Degradation, IndexStamp, NoVote, Outcome, SearchReply, Timings, Usage};
pub use conversation::{Conversation, Role, Turn};
pub use document::{
    Attributes, Chunk, ContentHash, DocumentProgress, DocumentState, DocumentStatus, Extracted, Mark, MarkKind,
    StageName, embedding_text,
};
pub use filter::{Comparison, Filter, FilterError};
pub use function_words::{FUNCTION_WORD_LANGUAGES, is_function_word};
pub use golden::{Checks, Expected, Golden, GoldenCheck, Quality, ReplayCheck, Worse};
pub use ids::{DocumentId, IdError, JobId, TenantId};
pub use job::{Job, JobCounts, JobKind, JobProblem, JobState, Receipt, Removal, share};
pub use letters::{fold, is_sign, spelled_out};
pub use question::{Hit, Mode, Passage, Question, QuestionError, Ranked, StageRank};
pub use time::Timestamp;
