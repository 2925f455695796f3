//! Texts that people type: e-mail addresses and names.

use keytoll_domain::key::NAME_MAX_CHARS;

/// Longest e-mail address (RFC 5321's path limit).
const EMAIL_MAX_LEN: usize = 254;

/// Trimmed and in lower case; `None` for what cannot be an address. Whether it is one, only a mail can tell.
pub(crate) fn normal_email(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > EMAIL_MAX_LEN || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let (local, domain) = text.rsplit_once('@')?;
    let fits = |part: &str| !part.is_empty() && !part.contains(['@', '<', '>', ',', ';']);
    (fits(local) && fits(domain)).then(|| text.to_lowercase())
}

/// A name for people to read: trimmed, 1 to 100 characters, on one line. The error is the rule.
pub(crate) fn plain_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let count = text.chars().take(NAME_MAX_CHARS + 1).count();
    if count == 0 || count > NAME_MAX_CHARS {
        return Err(format!("1 to {NAME_MAX_CHARS} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("no line breaks or control characters".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised_or_refused() {
        assert_eq!(normal_email(" Ada@Example.COM "), Some("ada@example.com".into()));
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b@c", "a@b\n", "<a@b>"] {
            let expected = (bad == "a@b\n").then(|| "a@b".to_owned());
            assert_eq!(normal_email(bad), expected, "{bad:?}");
        }
        assert_eq!(normal_email(&format!("{}@b", "a".repeat(300))), None);
    }

    #[test]
    fn names_have_one_to_a_hundred_characters() {
        assert_eq!(plain_name("  ä  "), Ok("ä".into()));
        assert!(plain_name(&"ä".repeat(100)).is_ok());
        for bad in ["", "   ", "a\nb", &"a".repeat(101)] {
            assert!(plain_name(bad).is_err(), "{bad:?}");
        }
    }
}
