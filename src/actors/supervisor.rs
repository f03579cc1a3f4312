//! The supervisor: which tenants should live, and what happens when an actor dies.
//!
//! An actor that dies is started again after 0.1 s, doubling to 30 s. More than 5 deaths in 30 s quarantine that tenant
//! alone: its last generation goes on answering, and an operator's reindex or reload tries again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use super::cell::Cell;
use super::directory::Health;
use super::index::{IndexActor, IndexArgs, IndexMsg};
use super::letter::Letter;
use super::work::Shared;
use crate::domain::TenantId;
use crate::telemetry;

/// First wait before a dead actor is started again; doubles with each death.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Deaths are counted within this time; an actor that lived longer starts afresh.
const WINDOW: Duration = Duration::from_secs(30);
/// Deaths within the window that are borne.
const DEATHS_BORNE: usize = 5;
/// How often each actor is asked whether it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long it may take to say so. `handle` takes microseconds, so this is a hang.
const SILENCE: Duration = Duration::from_secs(10);

/// What the supervisor hears.
pub(super) enum SupervisorMsg {
    /// A tenant is to live.
    Adopt(Arc<Cell>, RpcReplyPort<()>),
    /// A tenant is to end; answered when its actor has.
    Retire(TenantId, RpcReplyPort<()>),
    /// A quarantined tenant gets another chance.
    Revive(TenantId, RpcReplyPort<()>),
    /// Its own: the wait after a death is over.
    Spawn(TenantId),
    /// Its own: time to ask whether everybody is there.
    Beat,
    /// Its own: somebody did not answer.
    Silent(TenantId, ActorId),
}

pub(super) struct Supervisor;

pub(super) struct SupervisorState {
    shared: Shared,
    beat: Duration,
    tenants: HashMap<TenantId, Tenancy>,
    /// Which tenant an actor works for, while it lives.
    children: HashMap<ActorId, TenantId>,
}

struct Tenancy {
    cell: Arc<Cell>,
    deaths: VecDeque<Instant>,
    child: Option<ActorCell>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = Shared;

    async fn pre_start(
        &self,
        me: ActorRef<SupervisorMsg>,
        shared: Shared,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let beat = HEARTBEAT;
        me.send_interval(beat, || SupervisorMsg::Beat);
        Ok(SupervisorState { shared, beat, tenants: HashMap::new(), children: HashMap::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMsg::Adopt(cell, reply) => {
                let id = cell.id.clone();
                state.tenants.insert(id.clone(), Tenancy { cell, deaths: VecDeque::new(), child: None });
                state.spawn(&me, &id).await;
                let _ = reply.send(());
            }
            SupervisorMsg::Retire(id, reply) => state.retire(&id, reply),
            SupervisorMsg::Revive(id, reply) => {
                if let Some(tenancy) = state.tenants.get_mut(&id).filter(|tenancy| tenancy.child.is_none()) {
                    tenancy.deaths.clear();
                    state.spawn(&me, &id).await;
                }
                let _ = reply.send(());
            }
            SupervisorMsg::Spawn(id) => state.spawn(&me, &id).await,
            SupervisorMsg::Beat => state.beat(&me),
            SupervisorMsg::Silent(id, actor) => state.silence(&id, actor),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let (who, reason, cause) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, "panic", error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                (who, "killed", reason.unwrap_or_else(|| "killed".to_owned()))
            }
            _ => return Ok(()),
        };
        // A tenant retired on purpose left `children` first, so whoever is still there died on us.
        if let Some(tenant) = state.children.remove(&who.get_id()) {
            state.bury(&me, &tenant, reason, cause);
        }
        Ok(())
    }
}

impl SupervisorState {
    /// Starts a tenant's actor. One that cannot start is treated like one that died.
    async fn spawn(&mut self, me: &ActorRef<SupervisorMsg>, id: &TenantId) {
        let Some(tenancy) = self.tenants.get_mut(id).filter(|tenancy| tenancy.child.is_none()) else { return };
        let shared = self.shared.of(&tenancy.cell.id);
        let args = IndexArgs { cell: Arc::clone(&tenancy.cell), shared };
        let start = IndexActor::spawn_linked(None, IndexActor, args, me.get_cell());
        match tokio::time::timeout(SILENCE, start).await {
            Ok(Ok((actor, _))) => {
                self.children.insert(actor.get_id(), id.clone());
                tenancy.child = Some(actor.get_cell());
                tenancy.cell.actor.store(Some(Arc::new(actor)));
            }
            Ok(Err(error)) => self.bury(me, id, "spawn", error.to_string()),
            Err(_) => self.bury(me, id, "spawn", "it did not start in time".to_owned()),
        }
    }

    /// Notes a death and starts the next life after a wait, or quarantines the tenant.
    fn bury(&mut self, me: &ActorRef<SupervisorMsg>, id: &TenantId, reason: &'static str, cause: String) {
        let Some(tenancy) = self.tenants.get_mut(id) else { return };
        let cell = &tenancy.cell;
        tenancy.child = None;
        cell.actor.store(None);
        cell.count_restart();
        cell.note_error(&format!("the index writer died: {cause}"));
        telemetry::actor_restarted("index", reason);
        let now = Instant::now();
        tenancy.deaths.retain(|death| now.duration_since(*death) < WINDOW);
        tenancy.deaths.push_back(now);
        if tenancy.deaths.len() > DEATHS_BORNE {
            tracing::error!(tenant.id = %id, cause, "the index writer of {id} died too often and is left alone");
            cell.set_health(Health::Quarantined { cause });
            return;
        }
        let doubled = FIRST_WAIT * 2u32.saturating_pow(u32::try_from(tenancy.deaths.len() - 1).unwrap_or(u32::MAX));
        let wait = doubled.min(LONGEST_WAIT);
        tracing::warn!(tenant.id = %id, cause, retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "the index writer of {id} died and is started again");
        cell.set_health(if cell.snapshot().is_some() {
            Health::Restarting { cause }
        } else {
            Health::Failed { cause, retry_in: wait }
        });
        let tenant = id.clone();
        me.send_after(wait, move || SupervisorMsg::Spawn(tenant));
    }

    fn retire(&mut self, id: &TenantId, reply: RpcReplyPort<()>) {
        let child = self.tenants.remove(id).and_then(|tenancy| tenancy.child);
        if let Some(child) = child {
            self.children.remove(&child.get_id());
            // The wait is not ours: the supervisor answers others meanwhile.
            tokio::spawn(async move {
                let _ = child.kill_and_wait(Some(SILENCE)).await;
                let _ = reply.send(());
            });
        } else {
            let _ = reply.send(());
        }
    }

    /// Asks every actor whether it is there.
    fn beat(&self, me: &ActorRef<SupervisorMsg>) {
        for (id, tenancy) in &self.tenants {
            let Some(actor) = tenancy.cell.actor.load_full() else { continue };
            let (me, id, cell) = (me.clone(), id.clone(), Arc::clone(&tenancy.cell));
            let wait = SILENCE.max(self.beat);
            tokio::spawn(async move {
                let there = actor.call(|reply| Letter::new(&cell, IndexMsg::Ping(reply)), Some(wait)).await;
                if !matches!(there, Ok(ractor::rpc::CallResult::Success(()))) {
                    let _ = me.cast(SupervisorMsg::Silent(id, actor.get_id()));
                }
            });
        }
    }

    /// Kills an actor that hangs; its death is then handled like any other.
    fn silence(&mut self, id: &TenantId, actor: ActorId) {
        let hung =
            self.tenants.get(id).and_then(|tenancy| tenancy.child.as_ref()).filter(|child| child.get_id() == actor);
        if let Some(child) = hung {
            tracing::error!(tenant.id = %id, "the index writer of {id} does not answer and is replaced");
            telemetry::actor_restarted("index", "hang");
            child.kill();
        }
    }
}
