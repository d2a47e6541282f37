//! Names of enums.

/// Gives an enum with the derives `IntoStaticStr` and `EnumString` of `strum` the conversions to and from the names that they define.
macro_rules! named {
    ($type:ty) => {
        impl $type {
            /// Returns the stable name: that of the API, the tables and the logs.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.into()
            }

            /// Returns the value of a name, if there is one.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                name.parse().ok()
            }
        }
    };
}

pub(crate) use named;
