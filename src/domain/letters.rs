//! Letters as they are compared: small, in one Unicode form, without their marks.
//!
//! People type `haslo` for `hasło` and `Kuendigung` for `Kündigung`; files hold the same letter in one character or in two.
//! None of that decides whether two words are the same.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_canonical;

/// `text` in small letters of one form (NFKC), each without its marks: `Hasło` and `ｈａｓｌｏ` are both `haslo`.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        text.nfkc().for_each(|c| fold_char(c, &mut folded));
    }
    folded
}

/// The plain letters of `word` where it is also written out without its marks: `kuendigung` of `Kündigung`, `aarsag` of
/// `årsag`; none where nothing in it is.
#[must_use]
pub fn spelled_out(word: &str) -> Option<String> {
    if word.is_ascii() {
        return None;
    }
    let mut spelled = String::with_capacity(word.len() + 2);
    let mut found = false;
    for c in word.nfkc().flat_map(char::to_lowercase) {
        let letters = match c {
            'ä' => "ae",
            'ö' | 'ø' => "oe",
            'ü' => "ue",
            'å' => "aa",
            _ => "",
        };
        found |= !letters.is_empty();
        if letters.is_empty() { fold_char(c, &mut spelled) } else { spelled.push_str(letters) }
    }
    found.then_some(spelled)
}

/// Whether `c` is a sign that means something by itself, as people ask for it: emoji, arrows, currencies, `§`. Signs of ASCII
/// are none, and lines that tables are drawn with.
#[must_use]
pub fn is_sign(c: char) -> bool {
    matches!(c, '\u{a2}'..='\u{a7}' | '©' | '®' | '°' | '±' | '¶' | '×' | '÷' | '†' | '‡' | '‰' | '\u{20a0}'..='\u{20cf}'
        | '\u{2190}'..='\u{22ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{25cf}' | '\u{2600}'..='\u{27bf}'
        | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

/// Adds one character of text in NFKC, as it is compared.
fn fold_char(c: char, folded: &mut String) {
    if c.is_ascii() {
        folded.push(c.to_ascii_lowercase());
        return;
    }
    for small in c.to_lowercase() {
        match plain(small) {
            Some(letters) => folded.push_str(letters),
            None if has_loose_marks(small) => decompose_canonical(small, |part| {
                if !is_mark(part) {
                    folded.push(part);
                }
            }),
            None => folded.push(small),
        }
    }
}

/// Letters whose mark is no part that Unicode takes off.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ŋ' => "n",
        'ə' => "a",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'þ' => "th",
        'ς' => "σ",
        'ى' => "ي",
        'ة' => "ه",
        _ => return None,
    })
}

/// Whether the marks of `c` are left out: those of Latin, Greek, Cyrillic, Hebrew and Arabic. In other scripts they are
/// part of the spelling, as the sound mark in が is.
fn has_loose_marks(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{6ff}' | '\u{1e00}'..='\u{1fff}' | '\u{fb1d}'..='\u{fdff}')
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0487}' | '\u{0591}'..='\u{05bd}' | '\u{05bf}'..='\u{05c7}'
        | '\u{0610}'..='\u{061a}' | '\u{0640}' | '\u{064b}'..='\u{065f}' | '\u{0670}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_case_and_forms_of_a_letter_are_left_out() {
        for (written, plain) in [
            ("Hasło", "haslo"),
            ("ŁAZIENKA Święta", "lazienka swieta"),
            ("Přichází účet", "prichazi ucet"),
            ("Åarhus smørrebrød på Ærø", "aarhus smorrebrod pa aero"),
            ("Straße", "strasse"),
            ("IĞDIR ılık Şişli", "igdir ilik sisli"),
            ("Înțelegere și ştire", "intelegere si stire"),
            ("szabadságról őszi űr", "szabadsagrol oszi ur"),
            ("Đường sắt", "duong sat"),
            ("Ёлка", "елка"),
            ("Τιμή ΦΌΡΟΣ", "τιμη φοροσ"),
            ("cafe\u{301} ＣＡＦÉ ﬁn", "cafe cafe fin"),
            ("أحمد إلى", "احمد الي"),
            ("ガイド が", "ガイド が"),
            ("हिन्दी", "हिन्दी"),
            ("한국", "한국"),
            ("plain", "plain"),
        ] {
            assert_eq!(fold(written), plain, "{written}");
        }
    }

    #[test]
    fn a_letter_with_marks_is_also_written_out() {
        assert_eq!(spelled_out("Kündigung").as_deref(), Some("kuendigung"));
        assert_eq!(spelled_out("gro\u{0308}ße").as_deref(), Some("groesse"));
        assert_eq!(spelled_out("årsløn").as_deref(), Some("aarsloen"));
        assert_eq!((spelled_out("hasło"), spelled_out("plain")), (None, None));
    }

    proptest! {
        #[test]
        fn what_is_folded_is_folded_for_good_in_every_form(text in "\\PC{0,40}|[a-zà-žά-ωа-ё]{0,20}") {
            let folded = fold(&text);
            prop_assert_eq!(&fold(&folded), &folded);
            prop_assert_eq!(fold(&text.nfd().collect::<String>()), fold(&text.nfc().collect::<String>()));
        }
    }
}
