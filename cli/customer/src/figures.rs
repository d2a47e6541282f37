//! Figures as people read them, and pages whose figures are made by a program.

const BEGIN: &str = "<!-- figures: ";
const BEGIN_END: &str = " -->\n";
const END: &str = "<!-- end of figures -->";

/// The digits before the point in groups of three.
#[must_use]
pub fn grouped(number: &str) -> String {
    let (whole, fraction) = number.find('.').map_or((number, ""), |point| number.split_at(point));
    let mut text = String::with_capacity(number.len() + whole.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(fraction);
    text
}

/// The page with every section between its marks made anew: `section` is asked for each by its name.
///
/// # Errors
/// A sentence, if a section has no name or no end.
pub fn filled(page: &str, mut section: impl FnMut(&str) -> String) -> Result<String, String> {
    let mut parts = page.split(BEGIN);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(BEGIN_END).ok_or_else(|| format!("figures without a name: {part}"))?;
        let (_, rest) = rest.split_once(END).ok_or_else(|| format!("the figures {name} don't end"))?;
        for piece in [BEGIN, name, BEGIN_END, "\n", &section(name), "\n", END, rest] {
            text.push_str(piece);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_made_anew_and_all_else_stays() {
        let page = format!("before {BEGIN}a{BEGIN_END}old{END} between {BEGIN}b{BEGIN_END}{END} after");
        let made = format!("before {BEGIN}a{BEGIN_END}\nA\n{END} between {BEGIN}b{BEGIN_END}\nB\n{END} after");
        assert_eq!(filled(&page, str::to_uppercase), Ok(made.clone()));
        assert_eq!(filled(&made, str::to_uppercase), Ok(made));
        for unfinished in [format!("{BEGIN}a"), format!("{BEGIN}a{BEGIN_END}old")] {
            assert!(filled(&unfinished, str::to_uppercase).is_err(), "{unfinished}");
        }
    }
}
