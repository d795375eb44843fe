//! The part of a run that does not depend on its clock: the configuration of the server, the
//! transfers, and the record at the end.

use std::sync::Arc;

use lftp_ftp::ServerConfig;

use super::content::Content;
use super::transfer::{RunProgress, Transfer, TransferContext};
use super::{Clock, Plan};
use crate::record::{LinkLog, Outcome, SenderLog, Timing, Validity, assemble};
use crate::rows::RunRecord;
use crate::scenario::Operation;

/// A plan being run, with the log of its senders.
pub(super) struct Session<'a> {
    plan: &'a Plan,
    progress: &'a Arc<RunProgress>,
    senders: SenderLog,
    pub(super) content: Content,
}

impl<'a> Session<'a> {
    pub(super) fn new(plan: &'a Plan, progress: &'a Arc<RunProgress>) -> Self {
        Self {
            plan,
            progress,
            senders: SenderLog::new(plan.detail),
            content: plan.content(),
        }
    }

    /// The server's configuration, observed if the server is the sender. Addresses and ports are
    /// up to the clock.
    pub(super) fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.transport = self.plan.scenario.transport.config();
        // Only the sender is observed: a receiver's trace would double the memory and is not shown.
        if self.plan.scenario.transfer.operation == Operation::Get {
            config.transport.observer = Some(self.senders.tap());
        }
        config
    }

    /// The transfer of one flow.
    pub(super) fn transfer(&self, index: usize, context: TransferContext) -> Transfer {
        let file = (index, self.content.file(index));
        Transfer::new(self.plan, file, &self.senders, self.progress, context)
    }

    /// The record of the run.
    pub(super) fn record(
        &self,
        timings: Vec<Timing>,
        link: LinkLog,
        validity: Validity,
    ) -> RunRecord {
        let plan = self.plan;
        let outcome = Outcome {
            clock: match plan.clock {
                Clock::Real => "real",
                Clock::Virtual => "virtual",
            },
            seed: plan.seed,
            flows: self.senders.take_data_flows(timings.len()),
            timings,
            link,
            validity,
            command: plan.command(),
        };
        assemble(&plan.scenario, plan.detail, outcome)
    }
}
