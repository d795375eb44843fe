//! Changes of the network, parsed from a request's body.

use hyper::header::HeaderValue;
use lftp_netem::profile::{NetworkProfile, Preset};
use toml::{Table, Value};

use crate::network;

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// The type that `curl -d` gives to everything.
    Form,
    Text,
}

impl Kind {
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Self {
        let kind = content_type.and_then(|kind| kind.to_str().ok());
        match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
            Some("application/json" | "application/merge-patch+json") => Self::Json,
            Some("application/x-www-form-urlencoded") => Self::Form,
            _ => Self::Text,
        }
    }
}

/// Parses a whole network: TOML, JSON or the name of a preset.
pub(super) fn whole(kind: Kind, body: &str) -> Result<NetworkProfile, String> {
    if let Ok(preset) = body.trim().parse::<Preset>() {
        return Ok(preset.profile());
    }
    match kind {
        Kind::Json => {
            let json = serde_json::from_str(body).map_err(no_json)?;
            let mut table = Table::new();
            merge(&mut table, json)?;
            checked(&table)
        }
        Kind::Form | Kind::Text => {
            NetworkProfile::from_toml_str(body).map_err(|error| error.to_string())
        }
    }
}

/// Returns the network `now` with other values for some keys.
pub(super) fn keys(kind: Kind, body: &str, now: &NetworkProfile) -> Result<NetworkProfile, String> {
    let mut table = Table::try_from(now).map_err(|error| error.to_string())?;
    if kind == Kind::Json {
        merge(&mut table, serde_json::from_str(body).map_err(no_json)?)?;
        return checked(&table);
    }
    let settings: Vec<String> = match kind {
        Kind::Form => form_urlencoded::parse(body.as_bytes())
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
        _ => body.lines().map(str::to_owned).collect(),
    };
    let mut settings = settings.iter().filter(|line| !line.trim().is_empty());
    if settings.clone().next().is_none() {
        return Err("nothing to change: expected KEY=VALUE, such as loss=5%".to_owned());
    }
    settings
        .try_for_each(|setting| network::set(&mut table, setting))
        .map_err(|error| error.to_string())?;
    checked(&table)
}

fn checked(table: &Table) -> Result<NetworkProfile, String> {
    network::parse(table).map_err(|error| error.to_string())
}

fn no_json(error: serde_json::Error) -> String {
    format!("no JSON: {error}")
}

/// Merges as RFC 7396 says.
fn merge(table: &mut Table, patch: serde_json::Value) -> Result<(), String> {
    let serde_json::Value::Object(patch) = patch else {
        return Err("expected a JSON object, such as {\"loss\": \"5%\"}".to_owned());
    };
    for (key, value) in patch {
        match value {
            serde_json::Value::Null => {
                table.remove(&key);
            }
            serde_json::Value::Object(_) => {
                let inner = table.entry(key).or_insert_with(empty);
                if !inner.is_table() {
                    *inner = empty();
                }
                if let Value::Table(inner) = inner {
                    merge(inner, value)?;
                }
            }
            value => {
                let value = Value::try_from(value).map_err(|error| format!("{key}: {error}"))?;
                table.insert(key, value);
            }
        }
    }
    Ok(())
}

fn empty() -> Value {
    Value::Table(Table::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> NetworkProfile {
        NetworkProfile::from_toml_str("delay = '20ms'\nloss = '1%'\nreverse.loss = '2%'").unwrap()
    }

    #[test]
    fn keys_are_changed_as_with_set_and_the_others_stay() {
        let expected = "delay = '30ms'\nloss = '5%'\nreverse.loss = '2%'";
        let expected = NetworkProfile::from_toml_str(expected).unwrap();
        for (kind, body) in [
            (Kind::Text, "loss=5%\n\ndelay = 30ms\n"),
            (Kind::Form, "loss=5%&delay=30ms"),
            (Kind::Form, "loss=5%25&delay=30ms"),
            (Kind::Json, r#"{"loss": "5%", "delay": "30ms"}"#),
        ] {
            assert_eq!(keys(kind, body, &now()).as_ref(), Ok(&expected), "{body}");
        }
        let without = keys(Kind::Json, r#"{"loss": null, "reverse": null}"#, &now());
        assert_eq!(
            without,
            NetworkProfile::from_toml_str("delay = '20ms'").map_err(|_| String::new())
        );
    }

    #[test]
    fn a_whole_network_is_toml_json_or_the_name_of_a_preset() {
        let lte = Preset::Lte.profile();
        assert_eq!(whole(Kind::Text, "lte\n"), Ok(lte.clone()));
        assert_eq!(whole(Kind::Form, Preset::Lte.toml()), Ok(lte.clone()));
        let json = serde_json::to_string(&lte).unwrap();
        assert_eq!(whole(Kind::Json, &json), Ok(lte));
    }

    #[test]
    fn an_invalid_change_is_explained() {
        for (kind, body, word) in [
            (Kind::Text, "loss=120%", "100%"),
            (Kind::Text, "lose=1%", "unknown field"),
            (Kind::Text, "loss", "KEY=VALUE"),
            (Kind::Form, "", "nothing to change"),
            (Kind::Json, "{", "no JSON"),
            (Kind::Json, "[]", "object"),
        ] {
            let error = keys(kind, body, &now()).unwrap_err();
            assert!(error.contains(word), "{body}: {error}");
        }
        assert!(whole(Kind::Text, "delay = 5").is_err());
    }
}
