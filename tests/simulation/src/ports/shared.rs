//! The shares of tenants and the circuits of Regions.

use domain::{circuit::Circuit, configuration::region::Region, time::Timestamp};
use export_engine::ports::{PortError, RegionCircuits, ShareRequest, TenantShare, TenantShares};

use super::process::Ports;
use crate::{bug::KnownBug, world::WorldState};
impl TenantShares for Ports {
    async fn take_share(&self, request: &ShareRequest<'_>) -> Result<Option<TenantShare>, PortError> {
        let ShareRequest { tenant, trigger, holder, now, expires_at, .. } = *request;
        let numbers: Vec<u32> = request.numbers().collect();
        let (tenant, holder) = (tenant.clone(), holder.to_owned());
        let effect = move |state: &mut WorldState| {
            let is_free = |number: &u32| {
                let taken = state.shares.get(&(tenant.clone(), trigger, *number));
                taken.is_none_or(|(other, until)| *until <= now || *other == holder)
            };
            let Some(number) = numbers.iter().copied().find(is_free) else { return Ok(None) };
            state.shares.insert((tenant.clone(), trigger, number), (holder.clone(), expires_at));
            Ok(Some(TenantShare { tenant: tenant.clone(), trigger, number, holder: holder.clone() }))
        };
        self.world.call("take share", effect).await
    }

    async fn renew_share(&self, share: &TenantShare, expires_at: Timestamp) -> Result<(), PortError> {
        let share = share.clone();
        let effect = move |state: &mut WorldState| {
            if let Some((holder, until)) = state.shares.get_mut(&(share.tenant.clone(), share.trigger, share.number))
                && *holder == share.holder
            {
                *until = expires_at;
            }
            Ok(())
        };
        self.world.call("renew share", effect).await
    }

    async fn return_share(&self, share: &TenantShare) -> Result<(), PortError> {
        let share = share.clone();
        let effect = move |state: &mut WorldState| {
            let name = (share.tenant.clone(), share.trigger, share.number);
            if state.shares.get(&name).is_some_and(|(holder, _)| *holder == share.holder) {
                state.shares.remove(&name);
            }
            Ok(())
        };
        self.world.call("return share", effect).await
    }
}

impl RegionCircuits for Ports {
    async fn circuit(&self, region: &Region) -> Result<Option<Circuit>, PortError> {
        let region = region.clone();
        if self.has(KnownBug::CircuitForgotten) {
            return Ok(None);
        }
        self.world.call("read circuit", move |state| Ok(state.circuits.get(&region).cloned())).await
    }

    async fn replace_circuit(
        &self,
        region: &Region,
        current: Option<&Circuit>,
        circuit: Option<&Circuit>,
    ) -> Result<bool, PortError> {
        let (region, current, circuit) = (region.clone(), current.cloned(), circuit.cloned());
        let effect = move |state: &mut WorldState| {
            if state.circuits.get(&region) != current.as_ref() {
                return Ok(false);
            }
            match circuit.clone() {
                Some(circuit) => state.circuits.insert(region.clone(), circuit),
                None => state.circuits.remove(&region),
            };
            Ok(true)
        };
        self.world.call("store circuit", effect).await
    }
}
