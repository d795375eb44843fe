//! How a run went: one line, and what is behind it in a few.

use super::shares::{self, Stretch};
use crate::chart::units::{count, counted, percent, rate, time};
use crate::rows::{RunRecord, Summary};

/// How good the news is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Everything as it should be.
    Good,
    /// The file arrived, but the numbers do not count.
    Doubtful,
    /// The file did not arrive whole.
    Bad,
}

impl Tone {
    /// The style class.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
        }
    }

    /// A word that says it without a colour.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "Intact",
            Self::Doubtful => "Does not count",
            Self::Bad => "Failed",
        }
    }
}

/// How it went.
pub(crate) fn tone(summary: &Summary) -> Tone {
    match (summary.intact && summary.failure.is_none(), summary.valid) {
        (false, _) => Tone::Bad,
        (true, false) => Tone::Doubtful,
        (true, true) => Tone::Good,
    }
}

/// The headline.
pub(crate) fn headline(summary: &Summary) -> String {
    let files = if summary.flows > 1 {
        "Every file"
    } else {
        "The file"
    };
    match tone(summary) {
        Tone::Bad if summary.flows > 1 => "Not every file arrived whole".to_owned(),
        Tone::Bad => "The file did not arrive whole".to_owned(),
        Tone::Doubtful => format!("{files} arrived whole, but late packets spoil the numbers"),
        Tone::Good => format!("{files} arrived whole at {}", rate(summary.goodput_bps)),
    }
}

/// What is behind it, a sentence each.
pub(crate) fn sentences(record: &RunRecord) -> Vec<String> {
    let summary = &record.summary;
    let mut all = Vec::new();
    if let Some(failure) = &summary.failure {
        all.push(format!("It ended with: {failure}."));
    }
    if !summary.valid && !summary.validity.is_empty() {
        all.push(format!("The run is not valid: {}.", summary.validity));
    }
    if tone(summary) != Tone::Bad {
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

/// What the start and the end took beyond what the bytes in them need.
fn edges_sentence(record: &RunRecord) -> Option<String> {
    let stretches = shares::stretches(record);
    let over = |stretch: &Stretch| Some(stretch.took_ns.saturating_sub(stretch.ideal_ns?));
    let [connect, start, _, end] = &stretches[..] else {
        return None;
    };
    Some(format!(
        "Against a link that is full from the first packet to the last, the connect cost {}, the \
         first 20 % of the bytes {}, the last 5 % {}.",
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
        "The link lost {} ({} of them by its queue); of {} {} were sent again ({}), {} without \
         need.",
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
    fn a_run_that_does_not_count_is_never_good_news() {
        let good = Summary {
            intact: true,
            valid: true,
            ..Summary::default()
        };
        assert_eq!(tone(&good), Tone::Good);
        assert_eq!(
            tone(&Summary {
                valid: false,
                ..good.clone()
            }),
            Tone::Doubtful
        );
        assert_eq!(
            tone(&Summary {
                intact: false,
                ..good.clone()
            }),
            Tone::Bad
        );
        assert_eq!(
            tone(&Summary {
                failure: Some("reset".to_owned()),
                ..good
            }),
            Tone::Bad
        );
    }

    #[test]
    fn the_reason_of_a_failure_is_told() {
        let mut record = RunRecord::default();
        record.summary.failure = Some("the port pool is empty".to_owned());
        assert_eq!(headline(&record.summary), "The file did not arrive whole");
        assert!(sentences(&record)[0].contains("the port pool is empty"));
    }
}
