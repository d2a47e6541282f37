//! A line that is typed at the terminal and not shown.

use std::io::{self, Write};

use zeroize::Zeroizing;

/// Asks for a line. The terminal stops to show what is typed before the question appears; what was typed earlier is thrown
/// away.
///
/// # Errors
/// Standard input is no terminal, or can't be read.
pub fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let hidden = platform::Hidden::begin()?;
    let answer = write!(io::stderr().lock(), "{question}").and_then(|()| platform::read_line());
    drop(hidden);
    // The one that was typed was hidden too.
    writeln!(io::stderr().lock())?;
    answer
}

#[cfg(unix)]
mod platform {
    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use zeroize::Zeroizing;

    /// Bytes; a terminal gives no longer line.
    const MAX_LINE_LENGTH: usize = 4_096;

    /// While it lives, the terminal shows nothing of what is typed.
    pub struct Hidden {
        before: Termios,
    }

    impl Hidden {
        pub fn begin() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
            Ok(Self { before })
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // Nothing is left to be done about a terminal that is gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
        }
    }

    /// Without a buffer of its own, in which the line would stay.
    pub fn read_line() -> io::Result<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0; MAX_LINE_LENGTH]);
        let mut length = 0;
        while length < MAX_LINE_LENGTH {
            let rest = bytes.get_mut(length..).unwrap_or_default();
            let read = match rustix::io::read(io::stdin(), rest) {
                Ok(read) => read,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            length += read;
            if read == 0 || bytes.get(..length).is_some_and(|line| line.ends_with(b"\n")) {
                break;
            }
        }
        let line = str::from_utf8(bytes.get(..length).unwrap_or_default());
        let line = line.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was typed is no text"))?;
        Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    use zeroize::Zeroizing;

    pub struct Hidden;

    impl Hidden {
        pub fn begin() -> io::Result<Self> {
            Ok(Self)
        }
    }

    pub fn read_line() -> io::Result<Zeroizing<String>> {
        console::Term::stderr().read_secure_line().map(Zeroizing::new)
    }
}
