//! The reasons for which a file is not imported, with stable codes.

use thiserror::Error;

/// The reason for which a file is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}: {} {}", self.code(), self.meaning(), self.remedy())]
pub enum ImportRefusal {
    FileChanged,
    FileGrew,
    OtherService,
    OtherTenant,
}

impl ImportRefusal {
    pub const ALL: [Self; 4] = [Self::FileChanged, Self::FileGrew, Self::OtherService, Self::OtherTenant];

    pub fn code(self) -> &'static str {
        match self {
            Self::FileChanged => "IMPORT_FILE_CHANGED",
            Self::FileGrew => "IMPORT_FILE_GREW",
            Self::OtherService => "IMPORT_OTHER_SERVICE",
            Self::OtherTenant => "IMPORT_OTHER_TENANT",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Self::FileChanged => {
                "The file changed after its events were checked or its import began; nothing of the change was sent."
            }
            Self::FileGrew => "The file has grown since its import began; what was added was not sent.",
            Self::OtherService => "The state of the import belongs to another service.",
            Self::OtherTenant => "The state of the import belongs to another tenant.",
        }
    }

    pub fn remedy(self) -> &'static str {
        match self {
            Self::FileChanged => {
                "Restore the content, and repeat the command. To import all of the new content as well, move the state \
                 file away: events that both contain are stored twice then, with the same IDs."
            }
            Self::FileGrew => {
                "Import the added events from a file of their own. If the import was interrupted, cut the file to its \
                 former length and repeat the command first."
            }
            Self::OtherService | Self::OtherTenant => {
                "Use the token and the URL of the first import to continue it; to import the file there as well, give \
                 another --state-directory."
            }
        }
    }
}
