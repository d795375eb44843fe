//! The outcome of a run: a headline, and the sentences that explain it.

use super::shares::{self, Stretch};
use crate::chart::units::{count, counted, percent, rate, time};
use crate::rows::{RunRecord, Summary};

/// The outcome of a run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Arrived intact, and the numbers are valid.
    Good,
    /// Arrived intact, but the numbers are not valid.
    Doubtful,
    /// Did not arrive intact.
    Bad,
}

impl Status {
    /// The outcome that a summary describes.
    pub(crate) const fn of(summary: &Summary) -> Self {
        // Failed comes first: the numbers of a failed run are not doubtful, they are none.
        match (summary.intact && summary.failure.is_none(), summary.valid) {
            (false, _) => Self::Bad,
            (true, false) => Self::Doubtful,
            (true, true) => Self::Good,
        }
    }

    /// The style class.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
        }
    }

    /// The outcome as text, for readers who do not see the colour.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "Intact",
            Self::Doubtful => "Not valid",
            Self::Bad => "Failed",
        }
    }
}

/// The headline.
pub(crate) fn headline(summary: &Summary) -> String {
    let files = if summary.flows > 1 {
        "Every file"
    } else {
        "The file"
    };
    match Status::of(summary) {
        Status::Bad if summary.flows > 1 => "Not every file arrived intact".to_owned(),
        Status::Bad => "The file did not arrive intact".to_owned(),
        Status::Doubtful => {
            format!("{files} arrived intact, but late packets make the numbers invalid")
        }
        Status::Good => format!("{files} arrived intact at {}", rate(summary.goodput_bps)),
    }
}

/// The explanation, one sentence each.
pub(crate) fn sentences(record: &RunRecord) -> Vec<String> {
    let summary = &record.summary;
    let mut all = Vec::new();
    if let Some(failure) = &summary.failure {
        all.push(format!("It ended with: {failure}."));
    }
    if !summary.valid && !summary.validity.is_empty() {
        all.push(format!("The run is not valid: {}.", summary.validity));
    }
    if Status::of(summary) != Status::Bad {
        all.extend(rate_sentence(summary));
        all.extend(edges_sentence(record));
    }
    all.extend(loss_sentence(summary));
    all
}

fn rate_sentence(summary: &Summary) -> Option<String> {
    let (whole, most) = (summary.efficiency_ratio?, summary.achievable_bps?);
    let steady = summary.steady_ratio.map_or_else(String::new, |steady| {
        format!(", {} between 20 % and 95 % of the bytes", percent(steady))
    });
    Some(format!(
        "That is {} of the {} that can survive the link{steady}.",
        percent(whole),
        rate(most)
    ))
}

/// The time that start and end took beyond what their bytes need.
fn edges_sentence(record: &RunRecord) -> Option<String> {
    let stretches = shares::stretches(record);
    let over = |stretch: &Stretch| Some(stretch.took_ns.saturating_sub(stretch.ideal_ns?));
    let [connect, start, _, end] = &stretches[..] else {
        return None;
    };
    Some(format!(
        "Compared with a link that is full from the first packet to the last, connecting cost {}, \
         the first 20 % of the bytes {}, the last 5 % {}.",
        time(over(connect)?),
        time(over(start)?),
        time(over(end)?)
    ))
}

fn loss_sentence(summary: &Summary) -> Option<String> {
    let sent = summary.packets_sent;
    if sent == 0 {
        return None;
    }
    let share = summary.packets_retransmitted as f64 / sent as f64;
    Some(format!(
        "The link lost {} ({} of them by its queue); of {} {} were retransmissions ({}), {} of \
         them spurious.",
        counted(summary.packets_lost_on_link, "packet", "packets"),
        count(summary.queue_drops),
        counted(sent, "data packet", "data packets"),
        count(summary.packets_retransmitted),
        percent(share),
        count(summary.spurious_retransmissions)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_run_is_never_good() {
        let good = Summary {
            intact: true,
            valid: true,
            ..Summary::default()
        };
        assert_eq!(Status::of(&good), Status::Good);
        assert_eq!(
            Status::of(&Summary {
                valid: false,
                ..good.clone()
            }),
            Status::Doubtful
        );
        assert_eq!(
            Status::of(&Summary {
                intact: false,
                ..good.clone()
            }),
            Status::Bad
        );
        assert_eq!(
            Status::of(&Summary {
                failure: Some("reset".to_owned()),
                ..good
            }),
            Status::Bad
        );
    }

    #[test]
    fn the_reason_of_a_failure_is_stated() {
        let mut record = RunRecord::default();
        record.summary.failure = Some("the port pool is empty".to_owned());
        assert_eq!(headline(&record.summary), "The file did not arrive intact");
        assert!(sentences(&record)[0].contains("the port pool is empty"));
    }
}
