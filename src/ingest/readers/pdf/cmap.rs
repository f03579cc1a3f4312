//! Maps from character codes to Unicode (`ToUnicode`, ISO 32000-1, 9.10.3).

use std::collections::HashMap;

/// Most entries kept: more than Unicode's planes in use hold.
const MAX_ENTRIES: usize = 200_000;

/// A map from codes to text.
#[derive(Default)]
pub(super) struct CMap {
    single: HashMap<u32, String>,
    /// First code, last code, and the text of the first, whose last unit counts up.
    ranges: Vec<(u32, u32, Vec<u16>)>,
    /// Bytes of a code, as the map states it: 1 or 2, or 0 when it does not.
    pub code_bytes: usize,
}

enum Token<'a> {
    Hex(Vec<u8>),
    Word(&'a [u8]),
    Open,
    Close,
}

impl CMap {
    /// The map of codes that are characters already.
    pub fn identity() -> Self {
        Self { ranges: vec![(0, 0xffff, vec![0])], ..Self::default() }
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut section: &[u8] = b"";
        let mut operands: Vec<Vec<u8>> = Vec::new();
        let mut list: Option<Vec<Vec<u8>>> = None;
        for token in Tokens(bytes) {
            match token {
                Token::Word(word) => {
                    section = if word.starts_with(b"begin") { word } else { b"" };
                    operands.clear();
                    list = None;
                }
                Token::Open => list = Some(Vec::new()),
                Token::Close => {
                    if let (b"beginbfrange", [low, _], Some(texts)) = (section, &operands[..], list.take()) {
                        (code(low)..).zip(texts).for_each(|(code, text)| map.put(code, &text));
                    }
                    operands.clear();
                }
                Token::Hex(bytes) => {
                    if let Some(list) = &mut list {
                        list.push(bytes);
                    } else {
                        operands.push(bytes);
                        map.take(section, &mut operands);
                    }
                }
            }
        }
        map
    }

    /// Takes an entry when its operands are complete.
    fn take(&mut self, section: &[u8], operands: &mut Vec<Vec<u8>>) {
        match (section, &operands[..]) {
            (b"begincodespacerange", [low, _]) => self.code_bytes = self.code_bytes.max(low.len()),
            (b"beginbfchar", [from, to]) => self.put(code(from), to),
            (b"beginbfrange", [low, high, to]) if self.ranges.len() < MAX_ENTRIES => {
                self.ranges.push((code(low), code(high), units(to)));
            }
            (b"beginbfrange", [_, _, _]) => {}
            (b"beginbfrange" | b"beginbfchar" | b"begincodespacerange", _) => return,
            _ => {}
        }
        operands.clear();
    }

    fn put(&mut self, code: u32, text: &[u8]) {
        if self.single.len() < MAX_ENTRIES {
            self.single.insert(code, String::from_utf16_lossy(&units(text)));
        }
    }

    /// Whether it maps nothing, as where a program left it empty.
    pub fn is_empty(&self) -> bool {
        self.single.is_empty() && self.ranges.is_empty()
    }

    /// The text of a code.
    pub fn text(&self, code: u32) -> Option<String> {
        if let Some(text) = self.single.get(&code) {
            return Some(text.clone());
        }
        let (low, _, first) = self.ranges.iter().find(|(low, high, _)| (*low..=*high).contains(&code))?;
        let mut units = first.clone();
        let last = units.last_mut()?;
        *last = last.wrapping_add(u16::try_from(code - low).ok()?);
        Some(String::from_utf16_lossy(&units))
    }
}

fn code(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |code, byte| code << 8 | u32::from(*byte))
}

fn units(bytes: &[u8]) -> Vec<u16> {
    match bytes {
        // Some programs write one byte for a Latin letter.
        [byte] => vec![u16::from(*byte)],
        _ => bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
    }
}

/// The tokens of a map that matter: hexadecimal strings, brackets and words.
struct Tokens<'a>(&'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (first, rest) = self.0.split_first()?;
            match first {
                b'<' if rest.first() != Some(&b'<') => {
                    let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
                    self.0 = rest.get(end + 1..).unwrap_or_default();
                    return Some(Token::Hex(hex(&rest[..end])));
                }
                b'[' => {
                    self.0 = rest;
                    return Some(Token::Open);
                }
                b']' => {
                    self.0 = rest;
                    return Some(Token::Close);
                }
                b'%' => {
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
                    self.0 = &rest[end..];
                }
                letter if letter.is_ascii_alphabetic() => {
                    let end = self.0.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(self.0.len());
                    let (word, rest) = self.0.split_at(end);
                    self.0 = rest;
                    return Some(Token::Word(word));
                }
                _ => self.0 = rest,
            }
        }
    }
}

fn hex(digits: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = digits.iter().filter_map(|digit| char::from(*digit).to_digit(16)?.try_into().ok()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::CMap;

    #[test]
    fn characters_ranges_and_lists_are_mapped() {
        let map = CMap::parse(
            b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
              2 beginbfchar <0003> <0020> <0005> <D83DDE00> endbfchar\n\
              2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<00660069> <0078>] endbfrange endcmap",
        );
        let texts = [3, 5, 0x10, 0x12, 0x20, 0x21, 0x22].map(|code| map.text(code).unwrap_or_default());
        assert_eq!(texts, [" ", "😀", "A", "C", "fi", "x", ""]);
        assert_eq!(map.code_bytes, 2);
    }

    #[test]
    fn a_broken_map_is_read_as_far_as_it_goes() {
        assert_eq!(CMap::parse(b"1 beginbfchar <01> <0041> <02").text(1).as_deref(), Some("A"));
        assert_eq!(CMap::parse(b"1 beginbfrange <00> <FFFFFFFF> <> endbfrange").text(7), None);
    }
}
