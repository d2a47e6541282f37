//! The records of OCSF that the events of histories become. The mapping has tests of its own; here it decides into which object
//! an event belongs, so this module knows it for the actions of histories alone.

use std::io;

use bytes::Bytes;
use domain::{
    ocsf::{Class, OcsfSettings},
    time::Timestamp,
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
    schema::types::Type,
};

/// The first bytes of a file of Parquet.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Actions with a rule that all exports have.
const STANDARD: [(&str, Class); 4] = [
    ("LOGIN", Class::Authentication),
    ("READ", Class::ApiActivity),
    ("CREATE", Class::EntityManagement),
    ("ENABLE_MFA", Class::AccountChange),
];

/// What decides about the object of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) class: Class,
    /// True if no rule has its action.
    pub(crate) is_other: bool,
    pub(crate) time: Timestamp,
    /// With its line feed.
    pub(crate) line: &'a str,
}

/// Returns the records of some lines, in their order. `None`: they are not those of a history with OCSF.
pub(crate) fn records<'a>(lines: &'a [u8], settings: &OcsfSettings) -> Option<Vec<Record<'a>>> {
    let lines = std::str::from_utf8(lines).ok()?;
    lines.split_inclusive('\n').map(|line| record(line, settings)).collect()
}

fn record<'a>(line: &'a str, settings: &OcsfSettings) -> Option<Record<'a>> {
    let own = settings.classes.iter().find(|rule| Some(rule.action) == field(line, "action")).map(|rule| rule.class);
    let standard = || STANDARD.into_iter().find(|(action, _)| Some(*action) == field(line, "action"));
    let known = own.or_else(|| standard().map(|(_, class)| class));
    let time = Timestamp::parse(field(line, "eventTimestamp")?).ok()?;
    Some(Record { class: known.unwrap_or(Class::ApiActivity), is_other: known.is_none(), time, line })
}

/// Returns the text of a field.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

/// Returns the records of one class in the order of a file: by their times, and of one time, in the given order.
pub(crate) fn of_class<'a>(records: &[Record<'a>], class: Class) -> Vec<Record<'a>> {
    let mut found: Vec<_> = records.iter().copied().filter(|record| record.class == class).collect();
    found.sort_by_key(|record| record.time);
    found
}

/// Returns a file of one class in a form that is faster to make than Parquet. The first line says which encoder made it.
pub(crate) fn to_file(encoder: u32, class: Class, records: &[Record<'_>]) -> Bytes {
    let lines = records.iter().map(|record| record.line).collect::<String>();
    Bytes::from(format!("{encoder} {class}\n{lines}"))
}

/// Returns the lines of a file in its order, in either form.
pub(crate) fn lines_of_file(file: &Bytes, class: Class) -> io::Result<Vec<u8>> {
    if file.starts_with(PARQUET_MAGIC) {
        return lines_of_parquet(file, class).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let text = std::str::from_utf8(file).ok().and_then(|text| text.split_once('\n'));
    let lines = text.filter(|(first, _)| first.ends_with(class.name())).map(|(_, lines)| lines.as_bytes().to_vec());
    lines.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no file of this class"))
}

/// Returns the lines of a file of Parquet, each of whose records has to be of the class.
fn lines_of_parquet(file: &Bytes, class: Class) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let reader = SerializedFileReader::new(file.clone())?;
    let root = reader.metadata().file_metadata().schema();
    let wanted = root.get_fields().iter().filter(|field| matches!(field.name(), "class_uid" | "raw_data"));
    let projection = Type::group_type_builder(root.name()).with_fields(wanted.cloned().collect()).build()?;
    let mut lines = Vec::new();
    for row in reader.get_row_iter(Some(projection))? {
        let row = row?;
        if row.get_int(0)? != i32::from(class.uid()) {
            return Err(format!("a record has the class {}", row.get_int(0)?).into());
        }
        lines.extend_from_slice(row.get_string(1)?.as_bytes());
        lines.push(b'\n');
    }
    Ok(lines)
}
