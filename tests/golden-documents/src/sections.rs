//! Pages with generated sections between marks.

const BEGIN: &str = "<!-- figures: ";
const BEGIN_END: &str = " -->\n";
const END: &str = "<!-- end of figures -->";

/// Replaces every marked section of the page with what `section` returns for its name.
///
/// # Errors
/// A section has no name or no end.
pub fn with_sections(page: &str, mut section: impl FnMut(&str) -> String) -> Result<String, String> {
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
    fn sections_are_replaced_and_all_else_stays() {
        let page = format!("before {BEGIN}a{BEGIN_END}old{END} between {BEGIN}b{BEGIN_END}{END} after");
        let made = format!("before {BEGIN}a{BEGIN_END}\nA\n{END} between {BEGIN}b{BEGIN_END}\nB\n{END} after");
        assert_eq!(with_sections(&page, str::to_uppercase), Ok(made.clone()));
        assert_eq!(with_sections(&made, str::to_uppercase), Ok(made));
        for unfinished in [format!("{BEGIN}a"), format!("{BEGIN}a{BEGIN_END}old")] {
            assert!(with_sections(&unfinished, str::to_uppercase).is_err(), "{unfinished}");
        }
    }
}
