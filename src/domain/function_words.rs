//! Words that carry no meaning of their own.

use std::collections::HashSet;
use std::sync::LazyLock;

/// The languages, BCP 47 primary, whose function words are known. In others the same letters may be words of their own.
pub const FUNCTION_WORD_LANGUAGES: [&str; 11] = ["en", "de", "fr", "es", "it", "pt", "nl", "ru", "ar", "zh", "ja"];

/// Characters that carry no meaning of their own in Chinese and Japanese questions.
const PARTICLES: &str =
    "的了是在和与吗呢么什哪谁多少个有中为何怎样不一はがのをにへとでもかなにたすまりしいるれこそどって";

/// The words of `function_words.txt`.
static FUNCTION_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("function_words.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Whether `word`, in small letters, stands in every text or only makes a sentence a question.
#[must_use]
pub fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.contains(word) || word.chars().all(|c| PARTICLES.contains(c))
}
