//! The answers to requests.

use std::{
    convert::Infallible,
    fmt::Write as _,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{self, HeaderMap, HeaderValue},
};
use lftp_netem::{
    link::Counters,
    profile::NetworkProfile,
    proxy::{ProxyHandle, ProxyReport, Stopped},
};

use super::change::{self, Kind};

/// The longest profile, trace of mahimahi included.
const BODY_BYTES_MAX: usize = 4 << 20;

const JSON: &str = "application/json";
const TOML: &str = "application/toml";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers requests about one proxy.
pub(super) struct Answers {
    pub(super) proxy: ProxyHandle,
    /// The current network.
    pub(super) network: Mutex<NetworkProfile>,
}

/// The status and the reason of a refusal.
struct Refusal(StatusCode, String);

impl From<Stopped> for Refusal {
    fn from(stopped: Stopped) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}

/// The format and the text of an answer.
type Answer = (&'static str, String);

impl Answers {
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, (format, text)) = match self.route(request).await {
            Ok(answer) => (StatusCode::OK, answer),
            Err(Refusal(status, why)) => (status, (TEXT, why + "\n")),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, PUT, PATCH, POST"),
            );
        }
        Ok(response)
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let headers = request.headers().clone();
        refuse_browsers(&headers)?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let reads = matches!(method, Method::GET | Method::HEAD);
        match path.as_str() {
            "/" | "/status" if reads => Ok((JSON, json(&self.proxy.report()?)?)),
            "/metrics" if reads => Ok((TEXT, metrics(&self.proxy.report()?))),
            "/profile" if reads => self.profile(&headers),
            "/profile" if matches!(method, Method::PUT | Method::PATCH) => {
                let body = body(request).await?;
                self.change(&method, &headers, &body)
            }
            "/rebind" if method == Method::POST => {
                let rebound = self.proxy.rebind()?;
                Ok((JSON, json(&serde_json::json!({ "rebound": rebound }))?))
            }
            "/" | "/status" | "/metrics" | "/profile" | "/rebind" => Err(Refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                format!(
                    "{method} {path}: /profile can be changed with PUT or PATCH, /rebind takes \
                     POST, and the others can be read"
                ),
            )),
            _ => Err(Refusal(
                StatusCode::NOT_FOUND,
                format!("{path}: there are /status, /profile, /metrics and /rebind"),
            )),
        }
    }

    /// Locks even what a panic has poisoned: the network is replaced as a whole or not at all.
    fn network(&self) -> MutexGuard<'_, NetworkProfile> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn profile(&self, headers: &HeaderMap) -> Result<Answer, Refusal> {
        let network = self.network();
        let accepted = headers.get(header::ACCEPT);
        if accepted.is_some_and(|kinds| kinds.as_bytes().starts_with(JSON.as_bytes())) {
            return Ok((JSON, json(&*network)?));
        }
        let text = toml::to_string(&*network);
        Ok((TOML, text.map_err(internal)?))
    }

    fn change(&self, method: &Method, headers: &HeaderMap, body: &str) -> Result<Answer, Refusal> {
        let bad = |why| Refusal(StatusCode::BAD_REQUEST, why);
        let kind = Kind::of(headers.get(header::CONTENT_TYPE));
        {
            // Held until the links are changed, so that two changes at once end in the same order
            // in the links and here.
            let mut network = self.network();
            let new = match *method {
                Method::PUT => change::whole(kind, body),
                _ => change::keys(kind, body, &network),
            };
            let new = new.map_err(bad)?;
            self.proxy.set_network(&new)?;
            *network = new;
        }
        self.profile(headers)
    }
}

/// Refuses requests of web pages, which must not change the network. A browser sends the page's
/// origin, and in `Host` the name under which it found the machine: a name other than localhost
/// means DNS rebinding.
fn refuse_browsers(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.map(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.trim_start_matches('[').trim_end_matches(']')
    });
    let named = host.is_some_and(|name| name != "localhost" && name.parse::<IpAddr>().is_err());
    if headers.contains_key(header::ORIGIN) || named {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            "not for web pages: ask by the address, without an Origin".to_owned(),
        ));
    }
    Ok(())
}

async fn body(request: Request<Incoming>) -> Result<String, Refusal> {
    let too_long = || {
        let why = format!("a profile may have {BODY_BYTES_MAX} bytes");
        Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, why))
    };
    if request.body().size_hint().lower() > BODY_BYTES_MAX as u64 {
        return too_long();
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return too_long(),
        Err(error) => return Err(Refusal(StatusCode::BAD_REQUEST, error.to_string())),
    };
    String::from_utf8(bytes.into())
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("no text: {error}")))
}

fn json(value: &impl serde::Serialize) -> Result<String, Refusal> {
    let text = serde_json::to_string(value);
    Ok(text.map_err(internal)? + "\n")
}

fn internal(error: impl ToString) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// In the text format of Prometheus.
fn metrics(report: &ProxyReport) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("netem_valid", u64::from(report.valid)),
        ("netem_own_drops_total", report.proxy.own_drops()),
        ("netem_received_total", report.proxy.received),
        ("netem_sent_total", report.proxy.sent),
        ("netem_lateness_p50_ns", report.lateness.p50_ns),
        ("netem_lateness_p99_ns", report.lateness.p99_ns),
        ("netem_lateness_max_ns", report.lateness.max_ns),
    ] {
        let _ = writeln!(text, "{name} {value}");
    }
    for (direction, counters, queue_bytes) in [
        ("forward", &report.forward, report.forward_queue_bytes),
        ("reverse", &report.reverse, report.reverse_queue_bytes),
    ] {
        for (name, value) in of_link(counters) {
            let _ = writeln!(
                text,
                "netem_{name}_total{{direction=\"{direction}\"}} {value}"
            );
        }
        let _ = writeln!(
            text,
            "netem_queue_bytes{{direction=\"{direction}\"}} {queue_bytes}"
        );
    }
    text
}

const fn of_link(counters: &Counters) -> [(&'static str, u64); 11] {
    [
        ("packets_in", counters.packets_in),
        ("bytes_in", counters.bytes_in),
        ("delivered", counters.delivered),
        ("bytes_delivered", counters.bytes_delivered),
        ("lost_wire", counters.lost_wire),
        ("lost_burst", counters.lost_burst),
        ("queue_drops", counters.queue_drops),
        ("early_drops", counters.early_drops),
        ("mtu_drops", counters.mtu_drops),
        ("blackout_drops", counters.blackout_drops),
        ("duplicated", counters.duplicated),
    ]
}
