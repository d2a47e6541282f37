//! Hidden input at the terminal. Unlike in `rpassword` and `dialoguer`, echo is off before the question is printed.

use std::io::{self, Write};

use zeroize::Zeroizing;

/// Asks for a line without showing it. Discards input that was typed before the question.
pub fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let hidden = platform::Hidden::begin()?;
    let answer = write!(io::stderr().lock(), "{question}").and_then(|()| platform::read_line());
    drop(hidden);
    // The typed line feed was hidden too.
    writeln!(io::stderr().lock())?;
    answer
}

#[cfg(unix)]
mod platform {
    use std::{
        io,
        sync::{Mutex, MutexGuard, Once, PoisonError},
        thread,
    };

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
        iterator::Signals,
        low_level::emulate_default_handler,
    };
    use zeroize::Zeroizing;

    /// Bytes. Terminals limit lines to this.
    const MAX_LINE_LENGTH: usize = 4_096;

    /// The settings of the terminal before its echo was switched off.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// A guard: the terminal does not echo until it is dropped, or a signal ends the program.
    pub struct Hidden;

    impl Hidden {
        pub fn begin() -> io::Result<Self> {
            restore_on_signals()?;
            let mut before = before();
            let settings = tcgetattr(io::stdin())?;
            let mut hidden = settings.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
            *before = Some(settings);
            Ok(Self)
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            restore(OptionalActions::Drain);
        }
    }

    fn before() -> MutexGuard<'static, Option<Termios>> {
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restore(when: OptionalActions) {
        if let Some(settings) = before().take() {
            // A closed terminal needs no repair.
            let _ = tcsetattr(io::stdin(), when, &settings);
        }
    }

    /// From now on, restores the terminal before a signal ends the program.
    fn restore_on_signals() -> io::Result<()> {
        static STARTED: Once = Once::new();
        let mut started = Ok(());
        STARTED.call_once(|| started = start());
        started
    }

    fn start() -> io::Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let wait = move || {
            for signal in signals.forever() {
                restore(OptionalActions::Now);
                // It ends the program; one that it does not end can be sent again.
                let _ = emulate_default_handler(signal);
            }
        };
        thread::Builder::new().spawn(wait).map(|_| ())
    }

    /// Reads a line without a buffer that would keep a copy.
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
        let line = line.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the input is not valid UTF-8"))?;
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
