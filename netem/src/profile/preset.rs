//! Networks known by name.

use std::{fmt, str::FromStr};

use super::{NetworkProfile, UnitError};

/// A network known by name. Forward is towards the user, reverse is back; each profile is a
/// place to start from, not a measurement of anybody's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `3g`: 1.6 Mbit/s and 768 kbit/s, 300 ms there and back (WebPageTest, `3G` in
    /// `www/settings/connectivity.ini.sample`).
    ThreeG,
    /// `4g`: 9 Mbit/s both ways, 170 ms (WebPageTest, `4G`).
    FourG,
    /// `lte`: 12 Mbit/s both ways, 70 ms (WebPageTest, `LTE`).
    Lte,
    /// `5g`: 100 and 50 Mbit/s, the user experienced data rates that ITU-R M.2410-0 §4.3 asks
    /// of IMT-2020, and 20 ms there and back, which is our assumption: its 4 ms (§4.7.1) are the
    /// radio alone.
    FiveG,
    /// `dsl`: 1.5 Mbit/s and 384 kbit/s, 50 ms (WebPageTest, `DSL`), in cells of ATM (53 bytes
    /// for 48, with AAL5's trailer of 8; ITU-T I.363.5).
    Dsl,
    /// `cable`: 5 and 1 Mbit/s, 28 ms (WebPageTest, `Cable`), with PIE upstream, which DOCSIS 3.1
    /// demands (RFC 8034).
    Cable,
    /// `fiber`: 20 and 5 Mbit/s, 4 ms (WebPageTest, `FIOS`).
    Fiber,
    /// `wifi`: the rates and delay are our assumption of a shared 802.11 cell, 50 Mbit/s and
    /// 5 ms; batches of up to 5.484 ms are the longest that 802.11 sends (`aPPDUMaxTime`).
    Wifi,
    /// `satellite-geo`: 100 and 10 Mbit/s and 600 ms there and back, the geostationary service
    /// measured beside Starlink by Michel et al., "A First Look at Starlink Performance",
    /// IMC 2022; the way up and down alone takes 239.6 to 279 ms (RFC 2488 §2).
    SatelliteGeo,
    /// `satellite-leo`: a median of 50 ms there and back (Michel et al., IMC 2022), the 100 Mbit/s
    /// that the service promises, and a pause of 100 ms every 15 s of the first minute, when
    /// paths are assigned anew (Mohan et al., arXiv 2310.09242); the uplink's 15 Mbit/s and the
    /// length of the pause are our assumption.
    SatelliteLeo,
    /// `transatlantic`: 1 Gbit/s, which is our assumption, and 70 ms there and back: 5,570 km
    /// from London to New York are 56 ms in glass at 200,000 km/s, and cables are longer.
    Transatlantic,
}

impl Preset {
    /// All of them.
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

    /// The name, as it is read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    /// The profile, as it would be written.
    #[must_use]
    pub const fn toml(self) -> &'static str {
        self.entry().1
    }

    /// The profile.
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

impl FromStr for Preset {
    type Err = UnitError;

    fn from_str(name: &str) -> Result<Self, UnitError> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            UnitError::new(format!(
                "no preset is called {name:?}: expected one of {names}"
            ))
        })
    }
}
