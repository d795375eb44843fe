//! Networks known by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use super::NetworkProfile;
use crate::units::UnitError;

/// A network known by name. Forward is towards the user, reverse is back; each is a
/// starting point, not a measurement of a particular link.
///
/// Numbers from a document are named with the document; what follows "Ours:" is a choice of this
/// crate, made because no document says it, and may be argued with. Where a document gives a
/// round trip, half of it is put on each way, which is ours as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `3g`: 1.6 Mbit/s and 768 kbit/s, 300 ms there and back (`[3G]` in WebPageTest's
    /// `www/settings/connectivity.ini.sample`).
    ThreeG,
    /// `4g`. Ours: 9 Mbit/s both ways and 170 ms, the numbers that tools built on WebPageTest
    /// give for `4G`; its own sample of settings has no such entry.
    FourG,
    /// `lte`: 12 Mbit/s both ways, 70 ms (`[LTE]` in WebPageTest's `connectivity.ini.sample` as
    /// of commit 6a79fed; later versions have it no more).
    Lte,
    /// `5g`: 100 and 50 Mbit/s, the user experienced data rates in a dense city that Report
    /// ITU-R M.2410 asks of IMT-2020. Ours: 20 ms there and back; the 4 ms that the report asks
    /// for are the radio alone.
    FiveG,
    /// `dsl`: 1.5 Mbit/s and 384 kbit/s, 50 ms (`[DSL]` in WebPageTest's
    /// `connectivity.ini.sample`), in cells of ATM, 53 bytes for 48, with the 8 of AAL5's trailer
    /// (RFC 1483 §3). Ours: that it is ATM.
    Dsl,
    /// `cable`: 5 and 1 Mbit/s, 28 ms (`[Cable]` in WebPageTest's `connectivity.ini.sample`),
    /// with PIE upstream, as DOCSIS 3.1 requires of modems (RFC 8034). Ours: a buffer of 250 ms.
    Cable,
    /// `fiber`: 20 and 5 Mbit/s, 4 ms (`[FIOS]` in WebPageTest's `connectivity.ini.sample`).
    Fiber,
    /// `wifi`: batches of up to 5.484 ms, the longest that 802.11ax sends (`aPPDUMaxTime`, table
    /// 27-53). Ours: 50 Mbit/s, 5 ms there and back, a buffer of 50 ms, at least 1 ms between
    /// batches.
    Wifi,
    /// `satellite-geo`: 100 and 10 Mbit/s and 600 ms there and back, the geostationary service
    /// beside which Michel et al. measured Starlink ("A First Look at Starlink Performance",
    /// IMC 2022); propagation alone is 239.6 to 279 ms one way (RFC 2488 §2).
    SatelliteGeo,
    /// `satellite-leo`: 50 ms there and back, the median to Europe, and 100 Mbit/s, the least
    /// that was promised (Michel et al., IMC 2022); a disturbance every 15 s, when links are
    /// reassigned (Mohan et al., "A Multifaceted Look at Starlink Performance",
    /// arXiv 2310.09242). Ours: that it is a pause of 100 ms, for the first minute only, and
    /// 15 Mbit/s upstream.
    SatelliteLeo,
    /// `transatlantic`. Ours: 1 Gbit/s and 70 ms there and back. 5,570 km from London to
    /// New York are 56 ms in glass, where light makes 200,000 km/s, and cables are longer.
    Transatlantic,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 11] = [
        Self::ThreeG,
        Self::FourG,
        Self::Lte,
        Self::FiveG,
        Self::Dsl,
        Self::Cable,
        Self::Fiber,
        Self::Wifi,
        Self::SatelliteGeo,
        Self::SatelliteLeo,
        Self::Transatlantic,
    ];

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    /// Returns the profile as TOML.
    #[must_use]
    pub const fn toml(self) -> &'static str {
        self.entry().1
    }

    /// Returns the profile.
    #[must_use]
    pub fn profile(self) -> NetworkProfile {
        NetworkProfile::from_toml_str(self.toml()).expect("presets are read in the tests")
    }

    const fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::ThreeG => (
                "3g",
                "rate = '1600kbit'\ndelay = '150ms'\nreverse.rate = '768kbit'",
            ),
            Self::FourG => ("4g", "rate = '9mbit'\ndelay = '85ms'"),
            Self::Lte => ("lte", "rate = '12mbit'\ndelay = '35ms'"),
            Self::FiveG => (
                "5g",
                "rate = '100mbit'\ndelay = '10ms'\nreverse.rate = '50mbit'",
            ),
            Self::Dsl => (
                "dsl",
                "rate = '1500kbit'\ndelay = '25ms'\nreverse.rate = '384kbit'\n\
                 overhead = '8B'\ncell = '48B'\ncell_overhead = '5B'",
            ),
            Self::Cable => (
                "cable",
                "rate = '5mbit'\ndelay = '14ms'\nqueue = '250ms'\n\
                 reverse.rate = '1mbit'\nreverse.discipline = 'pie'",
            ),
            Self::Fiber => (
                "fiber",
                "rate = '20mbit'\ndelay = '2ms'\nreverse.rate = '5mbit'",
            ),
            Self::Wifi => (
                "wifi",
                "rate = '50mbit'\ndelay = '2500us'\nqueue = '50ms'\n\
                 slots = { min = '1ms', max = '5484us' }",
            ),
            Self::SatelliteGeo => (
                "satellite-geo",
                "rate = '100mbit'\ndelay = '300ms'\nreverse.rate = '10mbit'",
            ),
            Self::SatelliteLeo => (
                "satellite-leo",
                "rate = '100mbit'\ndelay = '25ms'\nreverse.rate = '15mbit'\n\
                 [[schedule]]\nat = '15s'\npause_until = '15100ms'\n\
                 [[schedule]]\nat = '30s'\npause_until = '30100ms'\n\
                 [[schedule]]\nat = '45s'\npause_until = '45100ms'\n\
                 [[schedule]]\nat = '60s'\npause_until = '60100ms'",
            ),
            Self::Transatlantic => ("transatlantic", "rate = '1gbit'\ndelay = '35ms'"),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Preset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

impl FromStr for Preset {
    type Err = UnitError;

    fn from_str(name: &str) -> Result<Self, UnitError> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            UnitError::new(format!("unknown preset {name:?}: expected one of {names}"))
        })
    }
}
