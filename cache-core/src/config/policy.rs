//! Read policies in a configuration.

use std::time::Duration;

use serde::Deserialize;

use super::units::{HumanDuration, HumanFactor, HumanFraction};
use crate::policy::Policy;

/// The options of a [`Policy`]; what is left out is as in the policy that this one changes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyFields {
    stale_while_revalidate: Option<HumanDuration>,
    stale_if_error: Option<HumanDuration>,
    retry_after: Option<HumanDuration>,
    early_refresh: Option<HumanFactor>,
    soft_timeout: Option<HumanDuration>,
    hard_timeout: Option<HumanDuration>,
    load_timeout: Option<HumanDuration>,
    jitter: Option<HumanFraction>,
    negative_ttl: Option<HumanDuration>,
}

type SetSpan = fn(Policy, Duration) -> Policy;

impl PolicyFields {
    /// The policy with these options changed.
    pub(crate) fn over(&self, mut policy: Policy) -> Policy {
        let spans: [(_, SetSpan); 7] = [
            (self.stale_while_revalidate, Policy::stale_while_revalidate),
            (self.stale_if_error, Policy::stale_if_error),
            (self.retry_after, Policy::retry_after),
            (self.soft_timeout, Policy::soft_timeout),
            (self.hard_timeout, Policy::hard_timeout),
            (self.load_timeout, Policy::load_timeout),
            (self.negative_ttl, Policy::negative_ttl),
        ];
        for (span, set) in spans {
            if let Some(HumanDuration(span)) = span {
                policy = set(policy, span);
            }
        }
        if let Some(HumanFactor(beta)) = self.early_refresh {
            policy = policy.early_refresh(beta);
        }
        if let Some(HumanFraction(part)) = self.jitter {
            policy = policy.jitter(part);
        }
        policy
    }
}
