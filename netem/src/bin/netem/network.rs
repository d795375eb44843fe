//! The network from the command line: a preset, a file or a line for `tc`, and keys that replace
//! its values.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lftp_netem::profile::{
    DirectionSettings, NamedFileError, NetworkProfile, Preset, ProfileError, TcError,
    read_named_files,
};
use toml::{Table, Value};

/// A network that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error(
        "cannot read the profile {}: {source}; it is no preset either: {}",
        path.display(),
        Preset::ALL.map(Preset::name).join(", ")
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the profile {} is no TOML:\n{source}", path.display())]
    NoToml {
        path: PathBuf,
        source: toml::de::Error,
    },
    #[error("the profile {}:\n{source}", path.display())]
    Profile { path: PathBuf, source: ProfileError },
    #[error("the profile {}, {source}", path.display())]
    File {
        path: PathBuf,
        source: NamedFileError,
    },
    #[error("--tc {line:?}: {source}")]
    Tc { line: String, source: TcError },
    #[error("--set {0}: expected KEY=VALUE, such as loss=10%")]
    NoValue(String),
    #[error("--set {setting}: {key} is not a table")]
    NoTable { setting: String, key: String },
    #[error("with --set {settings}:\n{source}")]
    Set {
        settings: String,
        source: ProfileError,
    },
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct NetworkArgs {
    /// The network: the name of a preset, or a TOML file (a scenario, or the keys of its network
    /// table).
    #[arg(long, value_name = "PRESET|FILE")]
    profile: Option<PathBuf>,
    /// The network, both ways, as tc-netem(8) is given it: "delay 20ms 5ms loss 1%".
    #[arg(long, value_name = "OPTIONS", conflicts_with = "profile")]
    tc: Option<String>,
    /// Set a key of the network, such as loss=10% or reverse.delay=20ms.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl NetworkArgs {
    /// True when no option was given.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.profile.is_none() && self.tc.is_none() && self.set.is_empty()
    }

    /// Reads the network.
    pub(crate) fn read(&self) -> Result<NetworkProfile, NetworkError> {
        let base = match (&self.tc, &self.profile) {
            (Some(line), _) => from_tc(line)?,
            (None, Some(path)) => load(path)?,
            (None, None) => Table::new(),
        };
        with_settings(base, self.profile.as_deref(), &self.set)
    }
}

fn from_tc(line: &str) -> Result<Table, NetworkError> {
    let settings = DirectionSettings::from_tc(line).map_err(|source| NetworkError::Tc {
        line: line.to_owned(),
        source,
    })?;
    Ok(Table::try_from(settings).unwrap_or_default())
}

/// The network with `settings` applied in order.
fn with_settings(
    mut network: Table,
    path: Option<&Path>,
    settings: &[String],
) -> Result<NetworkProfile, NetworkError> {
    if settings.is_empty() {
        return parse(&network).map_err(|source| NetworkError::Profile {
            path: path.unwrap_or_else(|| Path::new("")).to_owned(),
            source,
        });
    }
    for setting in settings {
        set(&mut network, setting)?;
    }
    parse(&network).map_err(|source| NetworkError::Set {
        settings: settings.join(" --set "),
        source,
    })
}

/// The preset of that name, the `[network]` table of a scenario, or a file that has only its keys.
fn load(path: &Path) -> Result<Table, NetworkError> {
    let named = path.to_str().and_then(|name| name.parse::<Preset>().ok());
    if let Some(preset) = named.filter(|_| !path.exists()) {
        return Ok(preset.toml().parse().unwrap_or_default());
    }
    let unreadable = |source| NetworkError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let text = read_named_files(&text, folder).map_err(|source| NetworkError::File {
        path: path.to_owned(),
        source,
    })?;
    let no_toml = |source| NetworkError::NoToml {
        path: path.to_owned(),
        source,
    };
    let mut table: Table = text.parse().map_err(no_toml)?;
    // Read as it stands first, so that an error names the line of the file.
    let profile = |source| NetworkError::Profile {
        path: path.to_owned(),
        source,
    };
    if let Some(Value::Table(network)) = table.remove("network") {
        let read = toml::from_str::<Scenario>(&text);
        read.map_err(|error| profile(error.into()))?;
        return Ok(network);
    }
    NetworkProfile::from_toml_str(&text).map_err(profile)?;
    Ok(table)
}

/// A scenario, of which only the network matters here.
#[derive(serde::Deserialize)]
struct Scenario {
    #[expect(dead_code, reason = "read for its errors")]
    network: NetworkProfile,
}

/// Parses the keys of a network.
pub(crate) fn parse(network: &Table) -> Result<NetworkProfile, ProfileError> {
    NetworkProfile::from_toml_str(&network.to_string())
}

/// Sets `a.b=value`. The value is TOML if it can be, and text otherwise: `20ms` needs no quotes.
pub(crate) fn set(network: &mut Table, setting: &str) -> Result<(), NetworkError> {
    let Some((path, value)) = setting.split_once('=') else {
        return Err(NetworkError::NoValue(setting.to_owned()));
    };
    let path = path.trim();
    let path = path.strip_prefix("network.").unwrap_or(path);
    let (tables, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table = network;
    for name in tables.split('.').filter(|name| !name.is_empty()) {
        let entry = table
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            let (setting, key) = (setting.to_owned(), name.to_owned());
            return Err(NetworkError::NoTable { setting, key });
        };
        table = inner;
    }
    let value = value.trim();
    let parsed = format!("value = {value}").parse().ok();
    let parsed = parsed.and_then(|mut document: Table| document.remove("value"));
    table.insert(
        key.to_owned(),
        parsed.unwrap_or_else(|| Value::String(value.to_owned())),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[&str]) -> Result<NetworkProfile, NetworkError> {
        let set = settings.iter().map(|&setting| setting.to_owned()).collect();
        let given = NetworkArgs {
            set,
            ..NetworkArgs::default()
        };
        given.read()
    }

    #[test]
    fn keys_are_set_in_both_directions_and_in_one() {
        let network = with(&[
            "delay=20ms",
            "network.reverse.delay = '30ms'",
            "jitter_reorder=false",
            "loss={ model = 'gilbert-elliott', mean = '3%', burst = '10p' }",
        ]);
        let network = network.unwrap();
        assert_eq!(network.forward().delay_ns(), 20_000_000);
        assert_eq!(network.reverse().delay_ns(), 30_000_000);
        assert!(network.forward().delay.in_order);
        assert_eq!(network.forward().loss_mean().to_string(), "3%");
    }

    #[test]
    fn a_profile_is_a_scenario_or_the_keys_of_its_network() {
        let path = std::env::temp_dir().join(format!("netem-profile-{}", std::process::id()));
        let with = |text: &str| {
            fs::write(&path, text).unwrap();
            let given = NetworkArgs {
                profile: Some(path.clone()),
                set: vec!["loss=2%".to_owned()],
                ..NetworkArgs::default()
            };
            given.read()
        };
        let scenario =
            with("title = 'x'\n[network]\ndelay = '5ms'\nloss = '1%'\n[files]\nsize = 3");
        let keys = with("delay = '5ms'");
        let wrong = with("title = 'x'\n[network]\ndelay = 5");
        fs::remove_file(&path).unwrap();
        assert_eq!(scenario.unwrap(), keys.unwrap());
        let error = wrong.unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains("no unit"),
            "{error}"
        );
    }

    #[test]
    fn files_named_by_a_profile_are_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("up.trace"), "1 2").unwrap();
        let path = folder.path().join("profile.toml");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            let given = NetworkArgs {
                profile: Some(path.clone()),
                ..NetworkArgs::default()
            };
            given.read()
        };
        let network = read("[network]\npreset = 'lte'\nmahimahi_file = 'up.trace'").unwrap();
        assert_eq!(network.mahimahi.unwrap().times_ms(), [1, 2]);
        assert_eq!(network.delay.unwrap().0, 35_000_000);
        let error = read("mahimahi_file = 'down.trace'")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("profile.toml, line 1: mahimahi_file: cannot read"),
            "{error}"
        );
    }

    #[test]
    fn every_preset_is_a_profile_and_an_unknown_one_is_told_their_names() {
        let named = |name: &str| NetworkArgs {
            profile: Some(name.into()),
            ..NetworkArgs::default()
        };
        for preset in Preset::ALL {
            assert_eq!(named(preset.name()).read().unwrap(), preset.profile());
        }
        let error = named("6g").read().unwrap_err().to_string();
        assert!(error.contains("6g") && error.contains("lte"), "{error}");
    }

    #[test]
    fn a_line_for_tc_is_a_network_both_ways() {
        let tc = |line: &str| NetworkArgs {
            tc: Some(line.to_owned()),
            set: vec!["reverse.loss=0%".to_owned()],
            ..NetworkArgs::default()
        };
        let network = tc("delay 20ms loss 1%").read().unwrap();
        assert_eq!(network.forward().delay_ns(), 20_000_000);
        assert_eq!(network.reverse().delay_ns(), 20_000_000);
        assert_eq!(network.forward().loss_mean().to_string(), "1%");
        assert_eq!(network.reverse().loss_mean().to_string(), "0%");
        let error = tc("dealy 20ms").read().unwrap_err().to_string();
        assert!(error.contains("dealy"), "{error}");
    }

    #[test]
    fn a_setting_that_cannot_be_is_named() {
        for (setting, word) in [
            ("loss", "KEY=VALUE"),
            ("loss=10", "no unit"),
            ("los=10%", "unknown field"),
        ] {
            let error = with(&[setting]).unwrap_err().to_string();
            assert!(error.contains(setting) && error.contains(word), "{error}");
        }
        let error = with(&["loss=1%", "loss.burst=2p"]).unwrap_err().to_string();
        assert!(error.contains("loss is not a table"), "{error}");
    }
}
