//! What some models think aloud before they answer.

/// Signs that many local models put around their thoughts.
const BEGIN: &str = "<think>";
const END: &str = "</think>";

/// Leaves out thoughts at the very start of a reply, however it comes in.
#[derive(Debug)]
pub(super) enum Thoughts {
    /// What has come may still become [`BEGIN`].
    Before(String),
    /// Within thoughts; keeps as much as may be the begin of [`END`].
    Within(String),
    /// Everything is answer now.
    Over,
}

impl Default for Thoughts {
    fn default() -> Self {
        Self::Before(String::new())
    }
}

impl Thoughts {
    /// What of the next words belongs to the answer.
    pub(super) fn leave_out(&mut self, words: &str) -> String {
        match self {
            Self::Over => words.to_owned(),
            Self::Before(come) => {
                come.push_str(words);
                let text = come.trim_start();
                if let Some(thought) = text.strip_prefix(BEGIN) {
                    let thought = thought.to_owned();
                    *self = Self::Within(String::new());
                    return self.leave_out(&thought);
                }
                if BEGIN.starts_with(text) {
                    return String::new();
                }
                let come = std::mem::take(come);
                *self = Self::Over;
                come
            }
            Self::Within(come) => {
                come.push_str(words);
                if let Some((_, answer)) = come.split_once(END) {
                    let answer = answer.trim_start().to_owned();
                    *self = Self::Over;
                    return answer;
                }
                come.drain(..come.floor_char_boundary(come.len().saturating_sub(END.len())));
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(reply: &str, size: usize) -> String {
        let mut thoughts = Thoughts::default();
        let letters: Vec<char> = reply.chars().collect();
        letters.chunks(size).map(|piece| thoughts.leave_out(&piece.iter().collect::<String>())).collect()
    }

    #[test]
    fn thoughts_at_the_start_are_left_out_and_nothing_else() {
        for (reply, said) in [
            ("<think>So é…\nhm</think>\n\nIt is so.", "It is so."),
            (" \n<think></think>It is so. </think>", "It is so. </think>"),
            ("It is <think>so</think>.", "It is <think>so</think>."),
            ("<thing> is so", "<thing> is so"),
            ("<think>without end", ""),
            (" It is so.", " It is so."),
        ] {
            for size in [1, 3, 100] {
                assert_eq!(answer(reply, size).trim_start(), said.trim_start(), "{reply}");
            }
        }
    }
}
