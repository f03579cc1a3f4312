//! As much of a shell as the manual's commands need: words with quotes, and `curl` with a few options.

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, StatusCode};

/// The commands of a block of code: lines, joined where one ends with a backslash, without comments.
pub fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The words of a command: parted by blanks outside of quotes.
pub fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Sends what a `curl` command would, with files from `folder`.
pub async fn curl(command: &str, folder: &std::path::Path) -> (StatusCode, String) {
    let words = words(command);
    let mut words = words.iter().skip(1);
    let (mut url, mut method, mut body, mut form) = (None, Method::GET, None, None);
    let mut headers = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-s" => {}
            "-X" => method = words.next().unwrap().parse().unwrap(),
            "-H" => headers.push(words.next().unwrap().split_once(": ").unwrap()),
            "-d" => (method, body) = (Method::POST, words.next().cloned()),
            "-F" => {
                method = Method::POST;
                let (name, value) = words.next().unwrap().split_once('=').unwrap();
                let part = match value.strip_prefix('@') {
                    Some(file) => Part::bytes(std::fs::read(folder.join(file)).unwrap()).file_name(file.to_owned()),
                    None => Part::text(value.to_owned()),
                };
                form = Some(form.take().unwrap_or_else(Form::new).part(name.to_owned(), part));
            }
            other if other.starts_with("http") => url = Some(other.to_owned()),
            other => panic!("`curl {other}` is not known here: {command}"),
        }
    }
    let client = Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, url.expect("a curl line has an address"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    if let Some(form) = form {
        request = request.multipart(form);
    }
    let reply = request.send().await.unwrap();
    (reply.status(), reply.text().await.unwrap())
}
