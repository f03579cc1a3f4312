//! What the codes of the fonts that every reader has mean where a file does not say (ISO 32000-1, annex D).

/// Symbol from code 32, and from code 160.
const SYMBOL: [&str; 2] = [
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪ 〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
];

/// The texts of Symbol's codes.
pub(super) fn symbol() -> Vec<String> {
    let mut texts = vec![String::new(); 256];
    for (first, signs) in [32, 160].into_iter().zip(SYMBOL) {
        for (code, sign) in (first..).zip(signs.chars()) {
            texts[code] = sign.to_string();
        }
    }
    texts
}

/// The texts of the codes of ZapfDingbats.
pub(super) fn dingbats() -> Vec<String> {
    (0..=255_u8).map(|code| dingbat(code).map(String::from).unwrap_or_default()).collect()
}

/// Unicode took its dingbats over in their order, but for those it had already.
fn dingbat(code: u8) -> Option<char> {
    let number = u32::from(code);
    let sign = match code {
        0x20 => 0x20,
        0x25 => 0x260e,
        0x2a => 0x261b,
        0x2b => 0x261e,
        0x48 => 0x2605,
        0x6c => 0x25cf,
        0x6e => 0x25a0,
        0x73 => 0x25b2,
        0x74 => 0x25bc,
        0x75 => 0x25c6,
        0x77 => 0x25d7,
        0xa8 => 0x2663,
        0xa9 => 0x2666,
        0xaa => 0x2665,
        0xab => 0x2660,
        0xac..=0xb5 => number - 0xac + 0x2460,
        0xd5 => 0x2192,
        0xd6 => 0x2194,
        0xd7 => 0x2195,
        0x21..=0x7e => number - 0x21 + 0x2701,
        0xa1..=0xef | 0xf1..=0xfe => number - 0xa1 + 0x2761,
        _ => return None,
    };
    char::from_u32(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_stand_at_their_codes() {
        let signs =
            |texts: &[String], codes: &[u8]| codes.iter().map(|code| &*texts[usize::from(*code)]).collect::<String>();
        assert_eq!(signs(&symbol(), b"abg~\xa0\xa3\xb9\xd1\xe5\xf2\xfe"), "αβγ∼€≤≠∇∑∫⎭");
        assert_eq!(signs(&dingbats(), b"34H!v~\xa1\xac\xb6\xd4\xf1\xfe"), "✓✔★✁❖❞❡①❶➔➱➾");
    }
}
