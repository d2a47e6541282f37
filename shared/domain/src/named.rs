//! Names of enums.

/// Gives an enum with the derive `IntoStaticStr` of `strum` its names, and with `, parse` and the derive `EnumString` also the way back.
macro_rules! named {
    ($type:ty) => {
        impl $type {
            /// Returns the stable name: that of the API, the tables and the logs.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.into()
            }
        }
    };
    ($type:ty, parse) => {
        named!($type);

        impl $type {
            /// Returns the value of a name, if there is one.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                name.parse().ok()
            }
        }
    };
}

pub(crate) use named;
