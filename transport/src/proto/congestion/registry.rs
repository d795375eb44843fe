//! The table of built-in controllers, and everything that follows from it: names, parsing, error
//! text, the list that help texts and peers are made from, and how each is created.

use std::fmt;
use std::str::FromStr;

use super::Congestion;

/// Declares the built-in controllers, one line each: `Type = module: "what it is";`.
///
/// The line declares the module (a file or folder of that name), adds the variant `Type` to
/// [`Congestion`] and registers `module::Type`, which implements
/// [`Controller`](super::Controller) and has a `fn new(params: &Params) -> Self`. The module's name
/// is the controller's name on command lines and in scenarios.
///
/// rustfmt does not look into macros: `cargo xtask ci` formats these modules by file name.
macro_rules! registry {
    ($($variant:ident = $module:ident: $description:literal;)+) => {
        $(mod $module;)+

        /// A built-in congestion control algorithm.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Congestion {
            $(#[doc = $description] $variant,)+
        }

        impl Congestion {
            /// All of them, in the order of the table.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];

            /// Returns the name used in scenarios and on command lines.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($module),)+
                }
            }

            /// Returns a line of description, for help texts.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)+
                }
            }
        }

        impl ControllerFactory for Congestion {
            fn build(&self, params: &Params) -> Box<dyn Controller> {
                match self {
                    $(Self::$variant => Box::new($module::$variant::new(params)),)+
                }
            }
        }
    };
}
pub(super) use registry;

/// Names that were used once and are still accepted.
const OLD_NAMES: [(&str, Congestion); 1] = [("bbr", Congestion::Fathom)];

impl Congestion {
    /// Returns the names of all, separated by commas.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// Returns the earlier names that still select this algorithm.
    pub fn old_names(self) -> impl Iterator<Item = &'static str> {
        OLD_NAMES
            .into_iter()
            .filter(move |(_, algorithm)| *algorithm == self)
            .map(|(name, _)| name)
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No congestion control has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no congestion control is called {0:?}; choose one of {names}", names = Congestion::names())]
pub struct UnknownCongestion(String);

impl FromStr for Congestion {
    type Err = UnknownCongestion;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let current = Self::ALL.map(|algorithm| (algorithm.as_str(), algorithm));
        current
            .into_iter()
            .chain(OLD_NAMES)
            .find(|(known, _)| *known == name)
            .map(|(_, algorithm)| algorithm)
            .ok_or_else(|| UnknownCongestion(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_selects_its_algorithm() {
        for algorithm in Congestion::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            for old in algorithm.old_names() {
                assert_eq!(old.parse(), Ok(algorithm));
                assert!(!Congestion::names().split(", ").any(|name| name == old));
            }
        }
        assert_eq!("bbr".parse(), Ok(Congestion::Fathom));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "vegas".parse::<Congestion>().unwrap_err().to_string();
        assert!(error.contains("\"vegas\""), "{error}");
        for algorithm in Congestion::ALL {
            assert!(error.contains(algorithm.as_str()), "{error}");
        }
    }
}
