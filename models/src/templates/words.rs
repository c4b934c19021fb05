//! The few words that say something of their neighbours.

/// States: constants, wherever they stand.
pub fn is_state(word: &[u8]) -> bool {
    const STATES: [&[u8]; 20] = [
        b"true",
        b"false",
        b"null",
        b"on",
        b"off",
        b"yes",
        b"no",
        b"ok",
        b"none",
        b"nil",
        b"success",
        b"fail",
        b"failed",
        b"enabled",
        b"disabled",
        b"open",
        b"closed",
        b"up",
        b"down",
        b"unknown",
    ];
    word.len() <= 8 && STATES.iter().any(|state| word.eq_ignore_ascii_case(state))
}

/// The absence of a value, and truth as only a program writes it.
pub fn is_null(word: &[u8]) -> bool {
    matches!(
        word,
        b"True" | b"False" | b"None" | b"null" | b"nil" | b"NULL" | b"nullptr" | b"undefined" | b"NaN" | b"N/A"
    )
}

/// After one of these a name is likely.
pub fn leads_to_name(word: &[u8]) -> bool {
    const LEADS: [&[u8]; 17] = [
        b"for", b"from", b"by", b"at", b"in", b"on", b"of", b"with", b"user", b"host", b"node", b"file", b"named",
        b"called", b"via", b"name", b"using",
    ];
    word.len() <= 6 && LEADS.iter().any(|lead| word.eq_ignore_ascii_case(lead)) || word.eq_ignore_ascii_case(b"service")
}

/// What a number is of, or what ends a time.
pub fn is_unit(word: &[u8]) -> bool {
    match word.len() {
        1 => matches!(word, b"B" | b"K" | b"M" | b"G" | b"s"),
        2 => matches!(word, b"KB" | b"MB" | b"GB" | b"TB" | b"kB" | b"kb" | b"ms" | b"us" | b"ns" | b"AM" | b"PM"),
        3 => matches!(
            word,
            b"KiB"
                | b"MiB"
                | b"GiB"
                | b"TiB"
                | b"sec"
                | b"Mhz"
                | b"MHz"
                | b"GHz"
                | b"kHz"
                | b"min"
                | b"UTC"
                | b"GMT"
                | b"CET"
                | b"EST"
                | b"EDT"
                | b"CST"
                | b"CDT"
                | b"MST"
                | b"MDT"
                | b"PST"
                | b"PDT"
                | b"BST"
                | b"JST"
        ),
        _ => matches!(
            word,
            b"secs" | b"mins" | b"CEST" | b"byte" | b"bytes" | b"second" | b"seconds" | b"minutes" | b"hours" | b"days"
        ),
    }
}

/// A month or a day of the week, in full or its first three letters.
pub fn is_calendar(word: &[u8]) -> bool {
    const NAMES: [&[u8]; 19] = [
        b"January",
        b"February",
        b"March",
        b"April",
        b"May",
        b"June",
        b"July",
        b"August",
        b"September",
        b"October",
        b"November",
        b"December",
        b"Monday",
        b"Tuesday",
        b"Wednesday",
        b"Thursday",
        b"Friday",
        b"Saturday",
        b"Sunday",
    ];
    matches!(word.first(), Some(b'A'..=b'W'))
        && word.len() >= 3
        && NAMES.iter().any(|name| word == *name || (word.len() == 3 && word == &name[..3]))
}

/// A day of the week.
pub fn is_weekday(word: &[u8]) -> bool {
    is_calendar(word)
        && (word.ends_with(b"day") || matches!(word, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun"))
}

/// Written as identifiers are: `a_b`, `a.b`, `aB`.
pub fn is_identifier(word: &[u8]) -> bool {
    word.contains(&b'_')
        || word.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        || word.windows(3).any(|three| {
            let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80;
            is_letter(three[0]) && matches!(three[1], b'.' | b'/' | b'$' | b'@' | b'-' | b':') && is_letter(three[2])
        })
}

/// Mostly of a closed set, each a constant somewhere: all in capitals (states, types, methods), or a participle (what has
/// happened or goes on).
pub fn is_closed(word: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| word.iter().any(is);
    let is_capital = has(u8::is_ascii_uppercase) && !has(|byte| byte.is_ascii_lowercase() || *byte >= 0x80);
    is_capital || (word.len() > 4 && (word.ends_with(b"ed") || word.ends_with(b"ing")))
}
