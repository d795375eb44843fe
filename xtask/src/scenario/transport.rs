//! The `[transport]` table.

use std::fmt;
use std::time::Duration;

use lftp_netem::profile::{DurationNs, Percent, Size};
use lftp_transport::{Config, Congestion, Recovery};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The transport's settings. Those not given are its own defaults ([`Config`]).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TransportSettings {
    /// Name of a built-in congestion control ([`Congestion::ALL`]), for instance `"cubic"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion: Option<CongestionName>,
    /// `"selective"` or `"go-back-n"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryName>,
    /// The largest datagram: `"1472B"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_datagram: Option<Size>,
    /// Packets before the first acknowledgement: `"32p"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_window: Option<Packets>,
    /// A bound on packets in flight: `"16p"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_window: Option<Packets>,
    /// Scales the pacing rate: `"90%"`. For experiments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pacing: Option<Percent>,
    /// The receive window at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_window: Option<Size>,
    /// The upper bound on the receive window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_receive_window: Option<Size>,
    /// Bytes that may be written ahead of acknowledgements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_buffer: Option<Size>,
    /// Silence after which a connection is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<DurationNs>,
    /// True if packets are marked ECN-capable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecn: Option<bool>,
}

impl TransportSettings {
    /// The transport's configuration.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        let bytes = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        set(&mut config.congestion, self.congestion.map(|name| name.0));
        set(&mut config.recovery, self.recovery.map(|name| name.0));
        set(&mut config.max_datagram_bytes, self.max_datagram.map(bytes));
        set(
            &mut config.initial_window_packets,
            self.initial_window.map(|packets| packets.0),
        );
        config.fixed_window_packets = self.fixed_window.map(|packets| packets.0);
        let permille = |share: Percent| (share.fraction() * 1000.0).round() as u32;
        set(&mut config.pacing_permille, self.pacing.map(permille));
        set(
            &mut config.receive_window_bytes,
            self.receive_window.map(|size| size.0),
        );
        set(
            &mut config.max_receive_window_bytes,
            self.max_receive_window.map(|size| size.0),
        );
        set(
            &mut config.send_buffer_bytes,
            self.send_buffer.map(|size| size.0),
        );
        let duration = |time: DurationNs| Duration::from_nanos(time.0);
        set(&mut config.idle_timeout, self.idle_timeout.map(duration));
        set(&mut config.ecn, self.ecn);
        config
    }
}

fn set<T>(knob: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *knob = value;
    }
}

/// A congestion control's name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct CongestionName(pub Congestion);

/// A recovery's name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecoveryName(pub Recovery);

/// A number of packets, written `"16p"`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packets(pub u32);

impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}p", self.0)
    }
}

impl std::str::FromStr for Packets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_suffix('p')
            .and_then(|number| number.parse().ok())
            .filter(|&number| number > 0)
            .map(Self)
            .ok_or_else(|| {
                format!("{text:?} is not a number of packets; write for example \"16p\"")
            })
    }
}

macro_rules! as_text {
    ($type:ty, $expected:literal, $show:expr, $read:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let show: fn(&Self) -> String = $show;
                serializer.serialize_str(&show(self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        let read: fn(&str) -> Result<$type, String> = $read;
                        read(text).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

as_text!(
    CongestionName,
    "a congestion control's name in quotes, for instance \"cubic\"",
    |name| name.0.to_string(),
    |text| match text.parse::<Congestion>() {
        Ok(congestion) => Ok(CongestionName(congestion)),
        Err(error) => Err(error.to_string()),
    }
);
as_text!(
    RecoveryName,
    "\"selective\" or \"go-back-n\"",
    |name| name.0.to_string(),
    |text| match text.parse::<Recovery>() {
        Ok(recovery) => Ok(RecoveryName(recovery)),
        Err(error) => Err(error.to_string()),
    }
);
as_text!(
    Packets,
    "a number of packets in quotes, for instance \"16p\"",
    ToString::to_string,
    |text| text.parse()
);
