//! Lines that were read.

/// Appends a text as a line. `None`: it is not one line.
pub(super) fn append_line(line: &[u8], lines: &mut Vec<u8>) -> Option<()> {
    if memchr::memchr(b'\n', line).is_some() {
        return None;
    }
    lines.extend_from_slice(line);
    lines.push(b'\n');
    Some(())
}
