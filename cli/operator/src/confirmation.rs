//! Questions to the person at the terminal before something is changed.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;

/// Asks the person at the terminal. `None`: there is no terminal.
pub type Ask<'a> = &'a mut dyn FnMut(&str) -> io::Result<Option<String>>;

/// Shows a question on standard error and reads the answer.
///
/// # Errors
/// The terminal can't be written or read.
pub fn ask(question: &str) -> io::Result<Option<String>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    write!(io::stderr().lock(), "{question} ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(answer.trim().to_owned()))
}

/// Asks for a yes.
///
/// # Errors
/// Another answer, or no terminal.
pub fn confirm(question: &str, ask: Ask<'_>) -> Result<(), Failure> {
    match ask(&format!("{question} [y/N]"))?.map(|answer| answer.to_lowercase()).as_deref() {
        Some("y" | "yes") => Ok(()),
        Some(_) => Err(Failure::NotConfirmed("it was not confirmed".to_owned())),
        None => {
            let reason = "there is no terminal for the confirmation; to do it without one, give --yes";
            Err(Failure::NotConfirmed(reason.to_owned()))
        }
    }
}

/// Asks to type `name`, unless the argument `--confirm` has it.
///
/// # Errors
/// Another text, or no terminal.
pub fn confirm_name(question: &str, name: &str, given: Option<&str>, ask: Ask<'_>) -> Result<(), Failure> {
    let typed = match given {
        Some(given) => Some(given.to_owned()),
        None => ask(question)?,
    };
    match typed {
        Some(typed) if typed == name => Ok(()),
        Some(_) => Err(Failure::NotConfirmed(format!("the confirmation is not {name}"))),
        None => {
            let reason = format!("there is no terminal for the confirmation; without one, give --confirm {name}");
            Err(Failure::NotConfirmed(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        let answer = |answer: Option<&str>| {
            let answer = answer.map(ToOwned::to_owned);
            confirm("Do it?", &mut |question| {
                assert_eq!(question, "Do it? [y/N]");
                Ok(answer.clone())
            })
        };
        assert!(answer(Some("y")).is_ok() && answer(Some("YES")).is_ok());
        for refused in [Some(""), Some("n"), Some("yes please"), None] {
            assert_eq!(answer(refused).unwrap_err().exit_code(), 11, "{refused:?}");
        }
    }

    #[test]
    fn a_name_is_typed_or_given() {
        let named = |given: Option<&str>, typed: Option<&str>| {
            confirm_name("Type acme:", "acme", given, &mut |_| Ok(typed.map(ToOwned::to_owned)))
        };
        assert!(named(Some("acme"), None).is_ok() && named(None, Some("acme")).is_ok());
        for (given, typed) in [(Some("acne"), Some("acme")), (None, Some("y")), (None, None)] {
            assert_eq!(named(given, typed).unwrap_err().exit_code(), 11, "{given:?} {typed:?}");
        }
    }
}
