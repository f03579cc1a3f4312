//! Reads the drawing orders of a page (ISO 32000-1, 7.8.2) and goes on behind whatever is broken.

use lopdf::{Dictionary, Object, StringFormat};

/// Operands kept before an operator: no operator takes more, but a broken page may never come to one.
const MAX_OPERANDS: usize = 256;
/// Arrays and dictionaries inside one another, at most.
const MAX_DEPTH: usize = 16;

/// The orders of a page, one by one: an operator and what stands before it.
pub(super) struct Orders<'a> {
    rest: &'a [u8],
}

/// What stands next.
enum Token<'a> {
    Object(Object),
    Word(&'a [u8]),
    /// The end of an array or dictionary.
    Close,
}

impl<'a> Orders<'a> {
    pub fn new(content: &'a [u8]) -> Self {
        Self { rest: content }
    }

    fn token(&mut self, depth: usize) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            let (first, rest) = self.rest.split_first()?;
            match first {
                b'%' => self.rest = after(rest, |byte| matches!(byte, b'\n' | b'\r')),
                b'/' => return Some(Token::Object(Object::Name(self.name()))),
                b'(' => return Some(Token::Object(self.literal())),
                b'<' if rest.first() == Some(&b'<') => {
                    self.rest = &rest[1..];
                    return Some(Token::Object(Object::Dictionary(self.dictionary(depth))));
                }
                b'<' => return Some(Token::Object(self.hexadecimal())),
                b'[' => {
                    self.rest = rest;
                    return Some(Token::Object(Object::Array(self.objects(depth, true))));
                }
                b']' => {
                    self.rest = rest;
                    return Some(Token::Close);
                }
                b'>' => {
                    self.rest = rest.strip_prefix(b">").unwrap_or(rest);
                    return Some(Token::Close);
                }
                b'+' | b'-' | b'.' | b'0'..=b'9' => return Some(Token::Object(self.number())),
                byte if is_regular(*byte) => return Some(self.word()),
                // A stray bracket, or a zero byte.
                _ => self.rest = rest,
            }
        }
    }

    fn regular(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is_regular(*byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn word(&mut self) -> Token<'a> {
        match self.regular() {
            b"true" => Token::Object(Object::Boolean(true)),
            b"false" => Token::Object(Object::Boolean(false)),
            b"null" => Token::Object(Object::Null),
            word => Token::Word(word),
        }
    }

    fn name(&mut self) -> Vec<u8> {
        self.rest = &self.rest[1..];
        let mut raw = self.regular();
        let mut name = Vec::with_capacity(raw.len());
        while let [first, rest @ ..] = raw {
            let code = rest.get(..2).filter(|_| *first == b'#').and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                name.push(byte);
                raw = &rest[2..];
            } else {
                name.push(*first);
                raw = rest;
            }
        }
        name
    }

    /// A number as careless programs write it: `--5`, `1.2.3` and `5-3` are read as far as they make sense.
    fn number(&mut self) -> Object {
        let end = self.rest.iter().position(|byte| !matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9'));
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let negative = digits.starts_with(b"-");
        let text: String = digits.iter().map(|byte| char::from(*byte)).collect();
        let text = text.trim_start_matches(['+', '-']);
        let text = text.split(['+', '-']).next().unwrap_or_default();
        let mut parts = text.splitn(3, '.');
        let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next());
        let value: f32 = format!("{whole}.{}", fraction.unwrap_or_default()).parse().unwrap_or_default();
        Object::Real(if negative { -value } else { value })
    }

    /// `(…)` with balanced brackets and escapes.
    fn literal(&mut self) -> Object {
        let mut bytes = Vec::new();
        let mut depth = 0_usize;
        let mut rest = self.rest;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match first {
                b'(' => {
                    depth += 1;
                    if depth > 1 {
                        bytes.push(b'(');
                    }
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    bytes.push(b')');
                }
                b'\\' => rest = escape(tail, &mut bytes),
                byte => bytes.push(*byte),
            }
        }
        self.rest = rest;
        Object::String(bytes, StringFormat::Literal)
    }

    fn hexadecimal(&mut self) -> Object {
        let end = self.rest.iter().position(|byte| *byte == b'>').unwrap_or(self.rest.len());
        let digits = self.rest[..end].iter().filter_map(|byte| char::from(*byte).to_digit(16)?.try_into().ok());
        let digits: Vec<u8> = digits.collect();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or_default());
        Object::String(bytes.collect(), StringFormat::Hexadecimal)
    }

    /// What stands up to the closing bracket. A word that strays in is left out, or, where `lenient` is false, ends it:
    /// then the bracket is missing and the word is the next operator.
    fn objects(&mut self, depth: usize, lenient: bool) -> Vec<Object> {
        let mut objects = Vec::new();
        if depth >= MAX_DEPTH {
            return objects;
        }
        loop {
            let before = self.rest;
            match self.token(depth + 1) {
                Some(Token::Object(object)) => objects.push(object),
                Some(Token::Word(_)) if lenient => {}
                Some(Token::Word(_)) => {
                    self.rest = before;
                    break;
                }
                Some(Token::Close) | None => break,
            }
        }
        objects
    }

    fn dictionary(&mut self, depth: usize) -> Dictionary {
        let mut objects = self.objects(depth, false).into_iter();
        let mut dictionary = Dictionary::new();
        while let (Some(key), Some(value)) = (objects.next(), objects.next()) {
            if let Object::Name(key) = key {
                dictionary.set(key, value);
            }
        }
        dictionary
    }

    /// Goes behind the data of a picture in the page: to an `EI` that stands alone and that orders follow.
    fn skip_picture(&mut self) {
        let mut from = 0;
        while let Some(at) = self.rest.get(from..).and_then(|rest| rest.windows(2).position(|pair| pair == b"EI")) {
            let (before, after) = (from + at, from + at + 2);
            let alone = before > 0 && !is_regular(self.rest[before - 1]);
            let follows = &self.rest[after..self.rest.len().min(after + 12)];
            let orders = follows.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'));
            if alone && orders && !follows.first().is_some_and(|byte| is_regular(*byte)) {
                self.rest = &self.rest[after..];
                return;
            }
            from = after;
        }
        self.rest = &[];
    }
}

impl<'a> Iterator for Orders<'a> {
    type Item = (&'a [u8], Vec<Object>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut operands = Vec::new();
        loop {
            match self.token(0)? {
                Token::Object(object) if operands.len() < MAX_OPERANDS => operands.push(object),
                Token::Word(b"ID") => {
                    self.skip_picture();
                    operands.clear();
                }
                Token::Word(word) => return Some((word, operands)),
                Token::Object(_) | Token::Close => {}
            }
        }
    }
}

fn is_regular(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"\0()<>[]{}/%".contains(&byte)
}

fn after(bytes: &[u8], end: impl Fn(&u8) -> bool) -> &[u8] {
    bytes.iter().position(end).map_or(&[], |at| &bytes[at + 1..])
}

/// What a backslash stands for, and what follows it.
fn escape<'a>(rest: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let Some((first, tail)) = rest.split_first() else { return rest };
    let byte = match first {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'\r' => return tail.strip_prefix(b"\n").unwrap_or(tail),
        b'\n' => return tail,
        b'0'..=b'7' => {
            let length = rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            let code = rest[..length].iter().fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0'));
            bytes.extend(u8::try_from(code & 0xff));
            return &rest[length..];
        }
        byte => *byte,
    };
    bytes.push(byte);
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(content: &[u8]) -> Vec<(String, Vec<Object>)> {
        let shown = |(word, operands): (&[u8], _)| (String::from_utf8_lossy(word).into_owned(), operands);
        Orders::new(content).map(shown).collect()
    }

    fn text(bytes: &[u8]) -> Object {
        Object::String(bytes.to_vec(), StringFormat::Literal)
    }

    #[test]
    fn every_kind_of_operand_is_read() {
        let found = orders(b"/F#31 -.5 Tf % comment )\n(a\\(\\)(b)\\101\\\nc) Tj [<4142 4>-20(x)]TJ <</A/B/C[1]>>BDC");
        assert_eq!(found[0], ("Tf".into(), vec![Object::Name(b"F1".to_vec()), Object::Real(-0.5)]));
        assert_eq!(found[1], ("Tj".into(), vec![text(b"a()(b)Ac")]));
        let Object::Array(parts) = &found[2].1[0] else { panic!("an array") };
        assert_eq!(parts[0], Object::String(b"AB@".to_vec(), StringFormat::Hexadecimal));
        let Object::Dictionary(properties) = &found[3].1[0] else { panic!("a dictionary") };
        assert_eq!(properties.get(b"A").unwrap(), &Object::Name(b"B".to_vec()));
    }

    #[test]
    fn what_is_broken_hides_nothing_behind_it() {
        let found = orders(b"[(a) Td (b)] TJ ) > --5 1.2.3 5-3 Td {(c) Tj");
        assert_eq!(found[0].1, [Object::Array(vec![text(b"a"), text(b"b")])]);
        assert_eq!(found[1].1, [Object::Real(-5.0), Object::Real(1.2), Object::Real(5.0)]);
        assert_eq!(found[2], ("Tj".into(), vec![text(b"c")]));
        assert!(orders(&b"[".repeat(100_000)).is_empty());
        assert!(orders(b"(never closed").is_empty());
    }

    #[test]
    fn a_picture_in_the_page_is_skipped() {
        let found = orders(b"BI /W 2 /H 2 ID \x00 EI\xff\x01EI (\n EI\nQ (x) Tj");
        let words: Vec<&str> = found.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(words, ["BI", "Q", "Tj"]);
    }
}
