//! What a status and a provider's words mean.
//!
//! Servers agree on few statuses: the same fault is a 400 here, a 404, 413, 422 or 500 there. So the words decide where the
//! status leaves it open, and a status that says enough is believed without words.

use http::StatusCode;

use super::words::Words;

/// What is wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The provider has a bad moment.
    Passing,
    /// It takes fewer calls, or fewer model tokens, in this time.
    Rate,
    /// It does not take the key.
    Key,
    /// It does not know the address or the model.
    Unknown,
    /// What was sent is more than it takes.
    TooLong,
    /// It refuses this request.
    Refused,
    /// Something else that another try does not mend.
    Other,
}

/// Words for more text than a model or a server takes. Numbers of texts are not among them.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "context limit",
    "max_model_len",
    "n_ctx",
    "string_above_max_length",
    "max_tokens_per_request",
    "too long",
    "too_long",
    "prompt is too large",
    "sequence length",
    "range of input length",
    "request too large",
    "request is too large",
    "payload too large",
    "entity too large",
    "body too large",
    "too many tokens",
    "too many input tokens",
    "input is too large to process",
    "tokens exceed",
    "number of tokens allowed",
    "maximum number of tokens",
    "exceeds maximum allowed token size",
    "reduce the length",
    "reduce your prompt",
    "token limit",
    "tokens. given:",
];
/// Words for a key that is none, by servers that answer with 400.
const KEY: &[&str] = &[
    "api key not valid",
    "invalid api key",
    "incorrect api key",
    "invalid_api_key",
    "api_key_invalid",
    "missing api key",
    "authentication_error",
];
/// Words for a model that is none.
const UNKNOWN: &[&str] = &[
    "model_not_found",
    "invalid_model",
    "model not found",
    "unknown model",
    "no such model",
    "not a valid model",
    "invalid model name",
    "model not exist",
    "model does not exist",
    "deploymentnotfound",
];
/// Words that refuse a field, by servers whose own code fails at it and who answer with 500.
const REFUSES: &[&str] = &[
    "unsupported param",
    "unsupported value",
    "unsupported field",
    "unrecognized",
    "unexpected keyword argument",
    "unknown field",
    "not supported",
    "not permitted",
];

/// What `status` with these words means.
pub(super) fn of(status: StatusCode, words: Option<&Words>) -> Cause {
    let said = words.map(|words| words.text().to_lowercase()).unwrap_or_default();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Cause::Key,
        StatusCode::PAYLOAD_TOO_LARGE => Cause::TooLong,
        // No wait makes room for a single request that is larger than a minute's share.
        StatusCode::TOO_MANY_REQUESTS if said.contains("request too large") => Cause::TooLong,
        StatusCode::TOO_MANY_REQUESTS => Cause::Rate,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => Cause::Unknown,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => of_refusal(&said),
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_IMPLEMENTED if is_too_long(&said) => Cause::TooLong,
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_IMPLEMENTED if any(&said, REFUSES) => Cause::Refused,
        StatusCode::NOT_IMPLEMENTED => Cause::Other,
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => Cause::Passing,
        _ => Cause::Other,
    }
}

/// What a refusal with these lower-case words means.
fn of_refusal(said: &str) -> Cause {
    if any(said, KEY) {
        Cause::Key
    } else if any(said, UNKNOWN) || names_no_model(said) {
        Cause::Unknown
    } else if is_too_long(said) {
        Cause::TooLong
    } else {
        Cause::Refused
    }
}

fn any(said: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| said.contains(phrase))
}

/// Whether lower-case words speak of more text than is taken.
fn is_too_long(said: &str) -> bool {
    let less_than = said.contains("must have less than") && said.contains("token");
    let sum = said.contains("tokens") && said.contains("max_new_tokens") && said.contains("must be <=");
    let completion = said.contains("completion tokens") && !said.contains("context");
    !completion && (less_than || sum || any(said, TOO_LONG))
}

/// Whether lower-case words say of a named model that it is not there; what a model does not have comes before its name.
fn names_no_model(said: &str) -> bool {
    let gone = ["does not exist", "not found"].iter().filter_map(|gone| said.find(gone)).min();
    gone.is_some_and(|at| said[..at].contains("model"))
}

impl Cause {
    /// What to do, for the end of a sentence.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Key => ": check its `api_key`",
            Self::Unknown => ": check its `base_url` and the model's name",
            Self::Rate => ": it limits the rate of calls",
            Self::TooLong => ": it takes less text at once",
            Self::Passing | Self::Refused | Self::Other => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(status: u16, body: &str) -> Cause {
        let words = Words::read(body.as_bytes(), b"{}", std::iter::empty());
        of(StatusCode::from_u16(status).unwrap(), words.as_ref())
    }

    #[test]
    fn a_status_that_says_enough_is_believed_without_words() {
        let causes = [
            (400, Cause::Refused),
            (401, Cause::Key),
            (403, Cause::Key),
            (404, Cause::Unknown),
            (408, Cause::Passing),
            (413, Cause::TooLong),
            (422, Cause::Refused),
            (429, Cause::Rate),
            (500, Cause::Passing),
            (501, Cause::Other),
            (503, Cause::Passing),
            (529, Cause::Passing),
            (302, Cause::Other),
        ];
        for (status, expected) in causes {
            assert_eq!(cause(status, ""), expected, "{status}");
        }
    }

    #[test]
    fn too_much_text_is_known_in_the_words_of_many_servers() {
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 4097 tokens. However, your messages resulted in 5000 tokens.","code":"context_length_exceeded","param":"messages"}}"#,
            ),
            (400, r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error"}}"#,
            ),
            (
                500,
                r#"{"error":{"message":"input is too large to process. increase the physical batch size","type":"server_error"}}"#,
            ),
            (400, r#"{"error":"the input length exceeds the context length"}"#),
            (
                400,
                r#"{"object":"error","message":"'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 1024 tokens and your request has 900 input tokens"}"#,
            ),
            (
                422,
                r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000","error_type":"validation"}"#,
            ),
            (413, r#"{"error":"Input validation error: `inputs` must have less than 512 tokens. Given: 600"}"#),
            (422, r#"{"error":"Input validation error: `inputs` must have less than 512 tokens. Given: 600"}"#),
            (
                400,
                r#"{"message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"}"#,
            ),
            (
                400,
                r#"[{"error":{"message":"The input token count (20000) exceeds the maximum number of tokens allowed (8192)."}}]"#,
            ),
            (400, r#"{"message":"Input is too long for requested model."}"#),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            ),
            (
                413,
                r#"{"error":{"message":"Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 7000","code":"rate_limit_exceeded"}}"#,
            ),
            (
                429,
                r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."}}"#,
            ),
            (500, r#"{"error":{"message":"Requested tokens (5000) exceed context window of 4096"}}"#),
            (413, "<html><title>413 Request Entity Too Large</title></html>"),
        ] {
            assert_eq!(cause(status, body), Cause::TooLong, "{body}");
        }
    }

    #[test]
    fn other_refusals_are_not_taken_for_too_much_text() {
        for (status, body, expected) in [
            (
                400,
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model."}}"#,
                Cause::Refused,
            ),
            (
                400,
                r#"{"error":{"message":"max_tokens is too large: 8000. This model supports at most 4096 completion tokens"}}"#,
                Cause::Refused,
            ),
            (400, r#"{"error":{"message":"batch size is invalid, it should not be larger than 16"}}"#, Cause::Refused),
            (
                400,
                r#"{"error":{"message":"The parameter 'temperature' is not available for this model"}}"#,
                Cause::Refused,
            ),
            (422, r#"{"error":"batch size 64 > maximum allowed batch size 32"}"#, Cause::Refused),
            (500, r#"{"error":"generate() got an unexpected keyword argument 'response_format'"}"#, Cause::Refused),
            (500, r#"{"error":"CUDA out of memory"}"#, Cause::Passing),
            (
                429,
                r#"{"error":{"message":"Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000"}}"#,
                Cause::Rate,
            ),
            (400, r#"{"error":{"message":"API key not valid. Please pass a valid API key."}}"#, Cause::Key),
            (400, r#"{"error":"The model `m` does not exist"}"#, Cause::Unknown),
            (404, r#"{"error":{"message":"model \"m\" not found, try pulling it first"}}"#, Cause::Unknown),
            (400, r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=m"}}"#, Cause::Unknown),
        ] {
            assert_eq!(cause(status, body), expected, "{body}");
        }
    }
}
