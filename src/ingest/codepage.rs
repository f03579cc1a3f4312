//! The code pages of DOS, which the Encoding Standard leaves out and old mail and old files still declare.

use std::borrow::Cow;

const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀\
    ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";
const CP852: &str = "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀\
    ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}";

/// The characters from 0x80 on of the code page that `label` names.
pub(super) fn page(label: &str) -> Option<Cow<'static, str>> {
    let label = label.trim().to_ascii_lowercase().replace(['-', '_'], "");
    match label.trim_start_matches("cp").trim_start_matches("ibm") {
        "437" => Some(CP437.into()),
        "850" => Some(CP850.into()),
        "852" => Some(CP852.into()),
        // 850 with a euro sign instead of a letter that only Turkish has.
        "858" => Some(CP850.replace('ı', "€").into()),
        _ => None,
    }
}

/// The text of these bytes: ASCII, and above it what the page has.
pub(super) fn decode(bytes: &[u8], page: &str) -> String {
    let page: Vec<char> = page.chars().collect();
    let char_of = |byte: &u8| match byte.checked_sub(0x80) {
        Some(place) => page.get(usize::from(place)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        None => char::from(*byte),
    };
    bytes.iter().map(char_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], label: &str) -> String {
        decode(bytes, &page(label).unwrap())
    }

    #[test]
    fn text_of_dos_is_read_by_the_name_of_its_page() {
        assert_eq!(text(b"Gr\x94\xe1e", "cp437"), "Größe");
        assert_eq!(text(b"Gr\x94\xe1e \x9b", "IBM-850"), "Größe ø");
        assert_eq!(text(b"5 \xd5", "cp858"), "5 €");
        assert_eq!(text(b"P\xfd\xa1li\xe7", "852"), "Příliš");
        assert!(page("cp1252").is_none() && page("").is_none());
    }

    #[test]
    fn each_page_has_a_character_for_every_byte() {
        assert!([CP437, CP850, CP852].iter().all(|page| page.chars().count() == 128));
    }
}
