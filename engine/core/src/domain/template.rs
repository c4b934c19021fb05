//! What messages of one kind have in common: their words without what varies from one to the next. What varies is known by how it
//! is written, not by comparing messages: so it is the same for the first as for the thousandth, on every node.

/// Words that are looked at.
const WORDS_MAX: usize = 32;
/// A longer word is no word.
const WORD_MAX: usize = 32;

/// The words of a message that do not vary, in lower case, a space before and after each; `names` are known to vary.
pub fn template(message: &str, names: &[&str]) -> String {
    let mut text = String::with_capacity(message.len().min(WORDS_MAX * 8) + 2);
    text.push(' ');
    let mut quote = None;
    for word in message.split_whitespace().take(WORDS_MAX) {
        let begins = word.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        if quote.is_none() {
            quote = begins;
        }
        if let Some(mark) = quote {
            let rest = if begins == Some(mark) { &word[mark.len_utf8()..] } else { word };
            if rest.trim_end_matches(['.', ',', ';', ':', ')']).ends_with(mark) {
                quote = None;
            }
            continue;
        }
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if is_constant(word) && !names.contains(&word) {
            text.extend(word.chars().flat_map(char::to_lowercase));
            text.push(' ');
        }
    }
    text
}

/// A word of letters, perhaps with hyphens: no number, path, address, or pair of key and value.
fn is_constant(word: &str) -> bool {
    !word.is_empty() && word.len() <= WORD_MAX && word.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_left_out() {
        for (message, known) in [
            ("Connection to db-07 refused (3 of 5 tries)", " connection to refused of tries "),
            ("Connection to 10.0.0.7:5432 refused (1 of 5 tries)", " connection to refused of tries "),
            ("user \"ann of the desk\" logged in from /dev/tty1", " user logged in from "),
            ("user \"bob\", logged in from /dev/tty7", " user logged in from "),
            ("job nightly failed: exit=1 host=h1", " job nightly failed "),
            ("  ", " "),
            ("it's an 'unfinished quote", " it's an "),
            ("Größe überschritten", " größe überschritten "),
        ] {
            assert_eq!(template(message, &[]), known, "{message}");
        }
        assert_eq!(template("replica shop of eu lags", &["shop"]), " replica of eu lags ");
        assert!(template(&"word ".repeat(1_000), &[]).len() <= 1 + WORDS_MAX * 5);
    }
}
