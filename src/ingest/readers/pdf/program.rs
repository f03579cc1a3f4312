//! What an embedded TrueType or OpenType font says of its glyphs' characters (OpenType specification, `cmap`).

use std::collections::HashMap;

use encoding_rs::MACINTOSH;

/// Most characters read of one font.
const MAX_CHARACTERS: usize = 100_000;

/// Characters by glyph number, from the font's own map of characters; empty when it has none that can be read.
pub(super) fn characters(font: &[u8]) -> HashMap<u32, char> {
    let mut found = HashMap::new();
    let Some(table) = table(font, *b"cmap") else { return found };
    let mut maps: Vec<Map> =
        (0..u16_at(table, 2).unwrap_or_default()).filter_map(|n| Map::at(table, n.into())).collect();
    maps.sort_by_key(|map| map.rank);
    for map in maps {
        for (code, glyph) in entries(map.bytes) {
            let character = map.script.character(code).filter(|_| glyph > 0 && found.len() < MAX_CHARACTERS);
            if let Some(character) = character {
                found.entry(glyph).or_insert(character);
            }
        }
    }
    found
}

/// The characters of the glyphs of nearly all fonts that Windows and macOS bring, which begin in one order: the one of
/// Macintosh, from glyph 3, the space (OpenType specification, `post` format 1).
pub(super) fn usual_character(glyph: u32) -> Option<char> {
    let code = match glyph {
        3..=97 => glyph + 29,
        // The order leaves out the code of Delete.
        98..=200 => glyph + 30,
        _ => return None,
    };
    MACINTOSH.decode_without_bom_handling(&[u8::try_from(code).ok()?]).0.chars().next()
}

/// One of a font's maps of characters.
struct Map<'a> {
    rank: u8,
    script: Script,
    bytes: &'a [u8],
}

/// What the codes of a map mean.
#[derive(Clone, Copy)]
enum Script {
    Unicode,
    /// Codes of a symbol font: those of ASCII, moved to U+F000.
    Symbol,
    Macintosh,
}

impl Script {
    fn character(self, code: u32) -> Option<char> {
        let character = match self {
            Self::Unicode => char::from_u32(code),
            Self::Symbol => char::from_u32(code & 0xff).filter(char::is_ascii_graphic),
            Self::Macintosh => MACINTOSH.decode_without_bom_handling(&[u8::try_from(code).ok()?]).0.chars().next(),
        };
        character.filter(|c| !c.is_control() && !matches!(c, '\u{e000}'..='\u{f8ff}'))
    }
}

impl<'a> Map<'a> {
    fn at(table: &'a [u8], number: usize) -> Option<Self> {
        let record = 4 + number * 8;
        let (rank, script) = match (u16_at(table, record)?, u16_at(table, record + 2)?) {
            (3, 10) | (0, 4..) => (0, Script::Unicode),
            (3, 1) | (0, _) => (1, Script::Unicode),
            (3, 0) => (2, Script::Symbol),
            (1, 0) => (3, Script::Macintosh),
            _ => return None,
        };
        let bytes = table.get(u32_at(table, record + 4)? as usize..)?;
        Some(Self { rank, script, bytes })
    }
}

/// A table of the font by its name.
fn table(font: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    let count = usize::from(u16_at(font, 4)?);
    let record = (0..count).map(|number| 12 + number * 16).find(|at| font.get(*at..at + 4) == Some(&name))?;
    let (offset, length) = (u32_at(font, record + 8)? as usize, u32_at(font, record + 12)? as usize);
    font.get(offset..)?.get(..length).or_else(|| font.get(offset..))
}

/// Codes with their glyphs, of the formats in use.
fn entries(map: &[u8]) -> Vec<(u32, u32)> {
    match u16_at(map, 0) {
        Some(0) => {
            (0..256_u16).filter_map(|code| Some((code.into(), u32::from(*map.get(6 + usize::from(code))?)))).collect()
        }
        Some(4) => segments(map).unwrap_or_default(),
        Some(6) => {
            let first = u32::from(u16_at(map, 6).unwrap_or_default());
            let count = usize::from(u16_at(map, 8).unwrap_or_default());
            (first..).zip((0..count).map_while(|n| u16_at(map, 10 + 2 * n)).map(u32::from)).collect()
        }
        Some(12) => groups(map),
        _ => Vec::new(),
    }
}

/// Format 4: segments of codes, whose glyphs follow from a difference or stand in a list.
fn segments(map: &[u8]) -> Option<Vec<(u32, u32)>> {
    let length = usize::from(u16_at(map, 6)?);
    let (ends, starts, deltas, offsets) = (14, 16 + length, 16 + 2 * length, 16 + 3 * length);
    let mut entries = Vec::new();
    for at in (0..length).step_by(2) {
        let (start, end) = (u16_at(map, starts + at)?, u16_at(map, ends + at)?);
        let (delta, offset) = (u16_at(map, deltas + at)?, u16_at(map, offsets + at)?);
        for code in start..=end {
            let glyph = if offset == 0 {
                code.wrapping_add(delta)
            } else {
                let listed = offsets + at + usize::from(offset) + 2 * usize::from(code - start);
                u16_at(map, listed).filter(|glyph| *glyph > 0).map_or(0, |glyph| glyph.wrapping_add(delta))
            };
            entries.push((u32::from(code), u32::from(glyph)));
        }
        if entries.len() > MAX_CHARACTERS {
            break;
        }
    }
    Some(entries)
}

/// Format 12: groups of codes whose glyphs count up with them.
fn groups(map: &[u8]) -> Vec<(u32, u32)> {
    let count = u32_at(map, 12).unwrap_or_default() as usize;
    let mut entries = Vec::new();
    for at in (0..count).map(|number| 16 + number * 12) {
        let (Some(start), Some(end), Some(glyph)) = (u32_at(map, at), u32_at(map, at + 4), u32_at(map, at + 8)) else {
            break;
        };
        let left = MAX_CHARACTERS.saturating_sub(entries.len());
        entries.extend((start..=end).zip(glyph..).take(left));
        if left == 0 {
            break;
        }
    }
    entries
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16_at(bytes, at)?) << 16 | u32::from(u16_at(bytes, at + 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A font that is nothing but a map of characters.
    fn font(platform: u16, encoding: u16, map: &[u16]) -> Vec<u8> {
        let table = [&[0, 1, platform, encoding, 0, 12][..], map].concat();
        let directory = [1, 0, 1, 0, 0, 0, 0x636d, 0x6170, 0, 0, 0, 28, 0, u16::try_from(table.len() * 2).unwrap()];
        directory.iter().chain(&table).flat_map(|unit| unit.to_be_bytes()).collect()
    }

    #[test]
    fn each_format_of_map_is_read() {
        // A to C by difference, ä by list.
        let segments =
            [4, 0, 0, 6, 0, 0, 0, 0x43, 0xe4, 0xffff, 0, 0x41, 0xe4, 0xffff, 0u16.wrapping_sub(0x3e), 0, 1, 0, 4, 0, 9];
        let found = characters(&font(3, 1, &segments));
        assert_eq!([3, 4, 5, 9].map(|glyph| found.get(&glyph).copied()), [Some('A'), Some('B'), Some('C'), Some('ä')]);
        let groups = [12, 0, 0, 0, 0, 0, 0, 1, 1, 0xf600, 1, 0xf601, 0, 7];
        assert_eq!(characters(&font(3, 10, &groups)).get(&8), Some(&'😁'));
        let trimmed = [6, 0, 0, 0x8a, 1, 4];
        assert_eq!(characters(&font(1, 0, &trimmed)).get(&4), Some(&'ä'));
        assert_eq!(characters(&font(3, 0, &[6, 0, 0, 0xf041, 1, 4])).get(&4), Some(&'A'));
    }

    #[test]
    fn a_broken_font_says_nothing() {
        let whole = font(3, 1, &[4, 0, 0, 2, 0, 0, 0, 0xffff, 0, 0, 0, 0xffff]);
        for length in 0..whole.len() {
            let _ = characters(&whole[..length]);
        }
        assert!(characters(&font(3, 10, &[12, 0, 0, 0, 0, 0, 0xffff, 0xffff])).is_empty());
    }

    #[test]
    fn usual_glyphs_stand_in_the_usual_order() {
        assert_eq!(
            [3, 36, 97, 98, 108, 0].map(usual_character),
            [Some(' '), Some('A'), Some('~'), Some('Ä'), Some('ä'), None]
        );
    }
}
