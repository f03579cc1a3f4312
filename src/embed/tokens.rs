//! The tokenizer of the built-in model; it also measures texts for providers, whose own tokenizers are not known.

use std::sync::LazyLock;

use tokenizers::Tokenizer;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let json = include_bytes!("../../models/tokenizer.json");
    Tokenizer::from_bytes(json).expect("the tokenizer in the binary is whole: a test reads it")
});

/// Model tokens a text has room for, the two special ones included.
pub(super) const LIMIT: usize = 256;
/// Special tokens around every text.
pub(super) const SPECIAL: usize = 2;
/// `[SEP]`, the last token of every text.
const END: u32 = 102;

/// Model tokens in `text`, without special ones.
pub(super) fn count(text: &str) -> usize {
    // A WordPiece tokenizer has a token for every text; its error type is shared with others that have not.
    TOKENIZER.encode_fast(text, false).map_or(0, |encoding| encoding.len())
}

/// The ids the model reads: `[CLS]`, the text's tokens as far as there is room, `[SEP]`.
pub(super) fn ids(text: &str) -> Result<Vec<i64>, String> {
    let encoding = TOKENIZER.encode_fast(text, true).map_err(|error| error.to_string())?;
    let mut ids: Vec<i64> = encoding.get_ids().iter().copied().map(i64::from).collect();
    if ids.len() > LIMIT {
        ids.truncate(LIMIT - 1);
        ids.push(i64::from(END));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_leaves_out_special_tokens() {
        assert_eq!(count(""), 0);
        assert_eq!(count("carrel"), ids("carrel").unwrap().len() - SPECIAL);
    }

    #[test]
    fn a_long_text_is_cut_and_still_ends_properly() {
        let long = ids(&"word ".repeat(1000)).unwrap();
        assert_eq!((long.len(), long[0], long[LIMIT - 1]), (LIMIT, 101, i64::from(END)));
        let fits = ids(&"word ".repeat(LIMIT - SPECIAL)).unwrap();
        assert_eq!(fits.len(), LIMIT);
        assert_eq!(fits[..LIMIT - 1], long[..LIMIT - 1]);
    }
}
