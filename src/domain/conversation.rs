//! Conversations whose last message is a question.

use serde::{Deserialize, Serialize};

use super::QuestionError;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who asks.
    User,
    /// Who answered.
    Assistant,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// A conversation, oldest message first; the last is the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation(Vec<Turn>);

impl Conversation {
    /// The most messages.
    pub const MAX_MESSAGES: usize = 100;

    /// Checks a conversation.
    ///
    /// # Errors
    /// When there is no message, there are too many, or the last is not the user's.
    pub fn parse(turns: Vec<Turn>) -> Result<Self, QuestionError> {
        let refuse = |what: String| Err(QuestionError::Messages(what));
        match turns.last() {
            None => refuse("is empty: send at least the user's message".into()),
            Some(last) if last.role != Role::User => refuse("must end with a message of the role `user`".into()),
            Some(_) if turns.len() > Self::MAX_MESSAGES => {
                refuse(format!("has {} messages; the most is {}", turns.len(), Self::MAX_MESSAGES))
            }
            Some(_) => Ok(Self(turns)),
        }
    }

    /// The messages.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        &self.0
    }

    /// The last message, as it was sent.
    #[must_use]
    pub fn question(&self) -> &str {
        self.0.last().map_or("", |last| &last.content)
    }

    /// Whether anything was said before.
    #[must_use]
    pub fn has_context(&self) -> bool {
        self.0.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(roles: &[Role]) -> Vec<Turn> {
        roles.iter().map(|role| Turn { role: *role, content: format!("{role:?}") }).collect()
    }

    #[test]
    fn a_conversation_ends_with_the_user() {
        let asked = Conversation::parse(turns(&[Role::User, Role::Assistant, Role::User])).unwrap();
        assert!((asked.question(), asked.has_context()) == ("User", true));
        assert!(!Conversation::parse(turns(&[Role::User])).unwrap().has_context());
        for wrong in [turns(&[]), turns(&[Role::User, Role::Assistant]), turns(&[Role::User; 101])] {
            assert!(matches!(Conversation::parse(wrong), Err(QuestionError::Messages(_))));
        }
    }
}
