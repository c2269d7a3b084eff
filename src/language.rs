//! Which language a person reads, of those there are mails in.
//!
//! The front chooses one for each request by its `Accept-Language` (RFC 9110, section 12.5.4), and
//! the steps write their mails in it. English is always there, and is what is left when nothing
//! else fits.

use std::cmp::Reverse;
use std::sync::Arc;

/// So much of the header is read. Browsers send under 200 bytes; the rest says nothing new.
const MAX_HEADER: usize = 1_024;
/// So many entries of it are read, which bounds the work for each request.
const MAX_ENTRIES: usize = 32;
/// The longest tag that is looked at (RFC 5646, section 4.4.1, asks for at least 35).
const MAX_TAG: usize = 35;

/// One of the [`Languages`]; by default English.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Language(usize);

impl Language {
    /// Its place in [`Languages`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// The languages there are mails in, English first. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Languages(Arc<[Tag]>);

impl Languages {
    /// English, and those with these tags.
    #[must_use]
    pub fn new<'a>(others: impl IntoIterator<Item = &'a str>) -> Self {
        let all = std::iter::once("en").chain(others);
        Self(all.filter_map(Tag::parse).collect())
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = Language> + use<> {
        (0..self.0.len()).map(Language)
    }

    /// The tag of one of them, as it is written in mails.
    #[must_use]
    pub fn tag(&self, language: Language) -> &str {
        &self.0[language.0].written
    }

    /// The one that fits best what the lines of an `Accept-Language` header ask for.
    ///
    /// By quality, then in the order written, the first entry that any language fits decides: a
    /// region falls back to its language (`de-AT` to `de`), a language to a region of it (`pt` to
    /// `pt-BR`), but never one script to another (`zh-TW` is not `zh-Hans`). `*` is English.
    pub fn choose<'a>(&self, header: impl IntoIterator<Item = &'a str>) -> Language {
        let mut wishes = wishes(header);
        wishes.sort_by_key(|wish| Reverse(wish.quality));
        let refused: Vec<Tag> = wishes
            .iter()
            .filter(|wish| wish.quality == 0)
            .filter_map(|wish| Tag::parse(wish.range))
            .collect();
        let allowed = |language: &Language| {
            let tag = &self.0[language.0];
            !refused.iter().any(|range| tag.begins_with(range))
        };
        wishes
            .iter()
            .filter(|wish| wish.quality > 0)
            .find_map(|wish| self.fitting(wish.range, &allowed))
            .unwrap_or_default()
    }

    fn fitting(&self, range: &str, allowed: &impl Fn(&Language) -> bool) -> Option<Language> {
        let mut all = self.all().filter(allowed);
        if range == "*" {
            return all.next();
        }
        let range = Tag::parse(range)?;
        all.filter_map(|language| Some((language, self.0[language.0].likeness(&range)?)))
            // Of equals, the first.
            .min_by_key(|(_, likeness)| Reverse(*likeness))
            .map(|(language, _)| language)
    }
}

impl Default for Languages {
    fn default() -> Self {
        Self::new([])
    }
}

/// One entry of the header.
struct Wish<'a> {
    range: &'a str,
    /// In thousandths.
    quality: u16,
}

fn wishes<'a>(header: impl IntoIterator<Item = &'a str>) -> Vec<Wish<'a>> {
    let mut left = MAX_HEADER;
    let mut wishes = Vec::new();
    for line in header {
        // Whoever goes beyond the bound loses the entry that was cut, and all that follow.
        let read = &line[..line.floor_char_boundary(left)];
        let read = if read.len() < line.len() {
            read.rsplit_once(',').map_or("", |(whole, _)| whole)
        } else {
            read
        };
        left = left.saturating_sub(line.len());
        wishes.extend(read.split(',').filter_map(wish).take(MAX_ENTRIES));
    }
    wishes.truncate(MAX_ENTRIES);
    wishes
}

/// `None` for an entry that is not written as one: it says nothing.
fn wish(entry: &str) -> Option<Wish<'_>> {
    let mut parts = entry.split(';').map(str::trim);
    let range = parts.next()?;
    if range != "*" && Tag::parse(range).is_none() {
        return None;
    }
    let quality = match parts.next() {
        None => 1_000,
        Some(weight) => {
            let (name, value) = weight.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("q") {
                return None;
            }
            thousandths(value.trim())?
        }
    };
    parts.next().is_none().then_some(Wish { range, quality })
}

/// A quality value: from 0 to 1, with at most three decimals.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1_000),
        _ => None,
    }
}

/// A language tag, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Tag {
    written: String,
    /// Its parts, in lower case; the first is the language.
    parts: Vec<String>,
}

impl Tag {
    /// `None` for what is no language tag (RFC 5646, section 2.1), or too long for one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<String> = text.split('-').map(str::to_ascii_lowercase).collect();
        let good = text.len() <= MAX_TAG
            && (2..=8).contains(&parts[0].len())
            && parts[0].bytes().all(|byte| byte.is_ascii_lowercase())
            && parts.iter().all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            });
        good.then(|| Self {
            written: text.to_owned(),
            parts,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Whether both are the same tag, whatever their case.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.parts == other.parts
    }

    fn begins_with(&self, range: &Self) -> bool {
        self.parts.starts_with(&range.parts)
    }

    /// How well this language fits what was asked for; `None` if it does not.
    fn likeness(&self, asked: &Self) -> Option<usize> {
        if self.parts[0] != asked.parts[0] {
            return None;
        }
        if let (Some(script), Some(wanted)) = (self.script(), asked.script())
            && script != wanted
        {
            return None;
        }
        let in_common = self.parts.iter().zip(&asked.parts);
        let in_common = in_common.take_while(|(one, other)| one == other).count();
        // The tag that adds least to what was asked for: `pt` before `pt-BR` for `pt-PT`.
        Some(in_common * MAX_TAG + MAX_TAG - self.parts.len())
    }

    /// The script, where it is said or known. Of Chinese it always is: who reads one form may be
    /// lost with the other.
    fn script(&self) -> Option<&str> {
        let said =
            self.parts.iter().skip(1).find(|part| {
                part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphabetic())
            });
        if let Some(script) = said {
            return Some(script);
        }
        (self.parts[0] == "zh").then(|| {
            let traditional = |part: &String| ["tw", "hk", "mo"].contains(&part.as_str());
            if self.parts.iter().any(traditional) {
                "hant"
            } else {
                "hans"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: [&str; 7] = ["de", "es", "fr", "ja", "pl", "pt-BR", "zh-Hans"];

    fn chosen_of(others: &[&str], header: &[&str]) -> String {
        let languages = Languages::new(others.iter().copied());
        let chosen = languages.choose(header.iter().copied());
        languages.tag(chosen).to_owned()
    }

    fn chosen(header: &str) -> String {
        chosen_of(&BUILT_IN, &[header])
    }

    #[test]
    fn the_wish_of_the_highest_quality_wins_and_of_equals_the_first() {
        for (header, expected) in [
            ("de", "de"),
            ("DE", "de"),
            ("fr;q=0.5, de;q=0.7, en;q=0.3", "de"),
            ("fr;q=0.5, de;q=0.5", "fr"),
            ("nl, pl;q=0.8, en;q=0.7", "pl"),
            ("en, de", "en"),
            ("de;q=0.001, ja;q=0.002", "ja"),
            (" de ; q=0.9 , fr ;q=1.000", "fr"),
            ("de;Q=0.9", "de"),
        ] {
            assert_eq!(chosen(header), expected, "{header}");
        }
    }

    #[test]
    fn a_region_falls_back_to_its_language_and_a_language_to_its_region() {
        for (header, expected) in [
            ("de-AT", "de"),
            ("de-Latn-CH-1996", "de"),
            ("es-419", "es"),
            ("pt", "pt-BR"),
            ("pt-BR", "pt-BR"),
            ("pt-PT", "pt-BR"),
            ("en-GB,de;q=0.9", "en"),
            ("dex", "en"),
        ] {
            assert_eq!(chosen(header), expected, "{header}");
        }
        let two = ["pt-BR", "pt"];
        assert_eq!(chosen_of(&two, &["pt-PT"]), "pt");
        assert_eq!(chosen_of(&two, &["pt-br"]), "pt-BR");
        assert_eq!(chosen_of(&["de", "de-CH"], &["de-CH-1996"]), "de-CH");
    }

    #[test]
    fn no_script_is_given_for_another() {
        for (header, expected) in [
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-SG", "zh-Hans"),
            ("zh-hans-HK", "zh-Hans"),
            ("zh-TW", "en"),
            ("zh-Hant", "en"),
            ("zh-HK, ja;q=0.5", "ja"),
            // What a browser in Taiwan sends: any Chinese is said to do.
            ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-Hans"),
        ] {
            assert_eq!(chosen(header), expected, "{header}");
        }
        let both = ["zh-Hans", "zh-Hant"];
        assert_eq!(chosen_of(&both, &["zh-TW"]), "zh-Hant");
        assert_eq!(chosen_of(&both, &["zh"]), "zh-Hans");
    }

    #[test]
    fn a_star_is_english_and_zero_is_a_refusal() {
        for (header, expected) in [
            ("*", "en"),
            ("nl, *;q=0.1", "en"),
            ("de;q=0, *", "en"),
            ("en;q=0, *", "de"),
            ("de-AT, de;q=0", "en"),
            ("de;q=0", "en"),
            ("en;q=0", "en"),
            ("*;q=0", "en"),
        ] {
            assert_eq!(chosen(header), expected, "{header}");
        }
    }

    #[test]
    fn what_is_not_written_as_it_should_be_says_nothing() {
        for header in [
            "",
            ",,,",
            ";",
            "de;q=2",
            "de;q=1.001",
            "de;q=0.1234",
            "de;q=-1",
            "de;q=",
            "de;level=1",
            "de;q=1;q=1",
            "d",
            "de_AT",
            "12",
            "de-",
            "-de",
            "dé",
            "de-abcdefghi",
            "de-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a",
            "../../etc/passwd",
        ] {
            assert_eq!(chosen(header), "en", "{header}");
            assert_eq!(chosen(&format!("{header}, fr;q=0.1")), "fr", "{header}");
        }
    }

    #[test]
    fn a_huge_header_is_read_in_part() {
        let many = "xx,".repeat(MAX_ENTRIES) + "de";
        assert_eq!(chosen(&many), "en");
        assert_eq!(chosen(&("de,".to_owned() + &"x".repeat(1 << 20))), "de");
        // Cut within a character, and within an entry.
        assert_eq!(chosen(&("fr,".to_owned() + &"é".repeat(4_000))), "fr");
        assert_eq!(chosen(&(" ".repeat(MAX_HEADER - 2) + "de-AT")), "en");
        let lines = ["x".repeat(MAX_HEADER), "de".to_owned()];
        assert_eq!(chosen_of(&BUILT_IN, &[&lines[0], &lines[1]]), "en");
        assert_eq!(chosen_of(&BUILT_IN, &["nl", "de"]), "de");
    }
}
