//! How much each tenant may send, enforced.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use event::TenantId;
use governor::{
    RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use crate::set::TenantSet;

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Why events may not be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The quota is used up; the same request fits after the wait.
    #[error("the tenant's quota is used up; retry in {} ms", retry_after.as_millis())]
    Exhausted {
        /// How long to wait.
        retry_after: Duration,
    },
    /// So many events at once never fit.
    #[error("a batch of {batch} events is larger than the tenant's burst of {burst}; send smaller batches")]
    BatchTooLarge {
        /// How many were asked for.
        batch: u32,
        /// How many fit at most.
        burst: u32,
    },
    /// The tenant is not part of the configuration.
    #[error("the tenant is not configured")]
    UnknownTenant,
}

impl QuotaError {
    /// How long to wait before the same request can pass; `None` if it never can.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Exhausted { retry_after } => Some(*retry_after),
            Self::BatchTooLarge { .. } | Self::UnknownTenant => None,
        }
    }
}

/// The quota of every tenant, with what it has used of it. Each tenant's is its own.
pub struct Quotas<C: Clock = DefaultClock> {
    limiters: HashMap<TenantId, (Arc<Limiter<C>>, crate::Quota)>,
    clock: C,
}

impl Quotas {
    /// Full quotas for the tenants of `set`.
    pub fn new(set: &TenantSet) -> Self {
        Self::with_clock(set, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Quotas<C> {
    /// The same, by a given clock.
    pub fn with_clock(set: &TenantSet, clock: C) -> Self {
        Self { limiters: HashMap::new(), clock }.renewed(set)
    }

    /// The quotas of the tenants of `set`; one that has not changed keeps what is used of it, also by whoever still has `self`.
    #[must_use]
    pub fn renewed(&self, set: &TenantSet) -> Self {
        let limiter = |tenant: &TenantId, quota: crate::Quota| {
            let same = self.limiters.get(tenant).filter(|(_, known)| *known == quota);
            same.map_or_else(
                || {
                    let rate = governor::Quota::per_second(quota.events_per_second).allow_burst(quota.burst);
                    Arc::new(RateLimiter::direct_with_clock(rate, self.clock.clone()))
                },
                |(limiter, _)| Arc::clone(limiter),
            )
        };
        let limiters = set.iter().map(|t| (t.id.clone(), (limiter(&t.id, t.quota), t.quota))).collect();
        Self { limiters, clock: self.clock.clone() }
    }

    /// Takes `n` events from the tenant's quota, all or none of them.
    ///
    /// # Errors
    /// [`QuotaError::Exhausted`] with the time to wait; the others do not pass by waiting.
    pub fn check_n(&self, tenant: &TenantId, n: u32) -> Result<(), QuotaError> {
        let (limiter, quota) = self.limiters.get(tenant).ok_or(QuotaError::UnknownTenant)?;
        let Some(n) = NonZeroU32::new(n) else { return Ok(()) };
        match limiter.check_n(n) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                Err(QuotaError::Exhausted { retry_after: not_until.wait_time_from(self.clock.now()) })
            }
            Err(_) => Err(QuotaError::BatchTooLarge { batch: n.get(), burst: quota.burst.get() }),
        }
    }
}
