//! How many requests each tenant has under way, so that none takes every connection from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::TenantId;

/// Requests under way, by tenant.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<TenantId, usize>>>);

impl Crowd {
    /// Counts one more request, unless the tenant has `most` under way; it is under way until the guard is dropped.
    pub fn enter(&self, tenant: &TenantId, most: usize) -> Option<Present> {
        let mut present = self.present();
        let count = present.entry(tenant.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Present { crowd: self.clone(), tenant: tenant.clone() })
    }

    fn present(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Present {
    crowd: Crowd,
    tenant: TenantId,
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut present = self.crowd.present();
        if let Some(count) = present.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_with_too_many_requests_under_way_waits_and_others_do_not() {
        let crowd = Crowd::default();
        let [a, b] = ["a", "b"].map(|id| TenantId::parse(id).unwrap());
        let first = crowd.enter(&a, 2);
        let second = crowd.enter(&a, 2);
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter(&a, 2).is_none());
        assert!(crowd.enter(&b, 2).is_some());
        drop(first);
        assert!(crowd.enter(&a, 2).is_some());
        drop(second);
        assert!(crowd.present().is_empty(), "nothing is kept of tenants without requests");
    }
}
