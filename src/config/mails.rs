//! How the mails look, and where templates of the operator's are.

use std::path::Path;

use url::Url;

use super::reader::Reader;
use super::values::is_safe;
use crate::email_address::EmailAddress;
use crate::email_change::mail::Look;

/// More is no name: it stands in subjects.
const MAX_NAME: usize = 80;
/// Of a URL, so that it stays on a line.
const MAX_SUPPORT: usize = 200;

/// What stands in every mail. What is wrong is left with the reader.
pub(super) fn look(reader: &mut Reader) -> Look {
    Look {
        product: name(reader, "READDRESS_PRODUCT_NAME"),
        support: support(reader),
        logo: name(reader, "READDRESS_LOGO_TEXT"),
        templates: reader.parsed(
            "READDRESS_TEMPLATES",
            "names no folder",
            "set it to a folder of mail templates (docs/mails.md), or take it away",
            |text| Path::new(text).is_dir().then(|| text.into()),
        ),
    }
}

fn name(reader: &mut Reader, variable: &'static str) -> Option<String> {
    let read = |text: &str| {
        let good = text.chars().count() <= MAX_NAME && !text.chars().any(breaks_lines);
        good.then(|| text.to_owned())
    };
    let problem = format!(
        "is longer than {MAX_NAME} characters, or has line breaks or control characters in it"
    );
    reader.parsed(
        variable,
        &problem,
        "set it to a short text on one line",
        read,
    )
}

fn support(reader: &mut Reader) -> Option<String> {
    let read = |text: &str| {
        if text.len() > MAX_SUPPORT {
            return None;
        }
        if let Ok(address) = EmailAddress::parse(text) {
            return Some(address.to_string());
        }
        let url = Url::parse(text).ok().filter(is_safe)?;
        Some(url.as_str().to_owned())
    };
    reader.parsed(
        "READDRESS_SUPPORT_ADDRESS",
        "is neither an e-mail address nor a https URL",
        "set it to where people can ask for help, such as help@example.com or https://example.com/help",
        read,
    )
}

/// What would end a header or a line, or turn the reading direction of what follows.
fn breaks_lines(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
