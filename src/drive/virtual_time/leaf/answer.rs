//! Answers to the calls of a leaf's Flux controllers, by the rules of the API server.

use super::{FLUX, Leaf, Out, addon};
use crate::calls::{ContentId, Kind, Verb};
use crate::drive::virtual_time::digest::print;
use crate::drive::virtual_time::ground::Ground;
use crate::model::flux::render::essence;
use crate::model::flux::spec::Spec;
use crate::model::flux::{Build, Op, Place, Reply, Slot as FluxSlot, View, Write};
use crate::units::Time;
use std::sync::Arc;

const OK: Reply = Reply { code: 200, object: None };
const ABSENT: Reply = Reply { code: 404, object: None };

impl Leaf {
    /// Answers one call.
    pub(super) fn answer(&mut self, ground: &Ground<'_>, op: &Op, now: Time, out: &mut Out) -> Reply {
        let reply = match (op.verb, Place::of(op.object)) {
            (Verb::Discover | Verb::List, _) => OK,
            (Verb::Create, Place::Event(_)) => Reply { code: 201, object: None },
            (_, Place::Event(_)) => OK,
            (Verb::Get, Place::Flux(slot)) => {
                if self.has(slot) {
                    OK
                } else {
                    ABSENT
                }
            }
            (_, Place::Flux(slot)) => self.patch(ground, slot, op.body.write, now, out),
            (_, Place::Chart(owner)) => self.chart(ground, op, owner, now, out),
            (_, Place::Item(of, n)) => self.on_item(ground, op, ground.item(of, n), n, now, out),
            (_, Place::Release(owner, revision)) => self.release(op, owner, revision, out),
            (_, Place::Server) => ABSENT,
        };
        out.counts.add(op, reply.code);
        reply
    }

    fn has(&self, slot: FluxSlot) -> bool {
        self.heads.get(slot.0 as usize).is_some_and(Option::is_some)
    }

    /// A merge patch of a Flux object's finalizers or status.
    fn patch(&mut self, ground: &Ground<'_>, slot: FluxSlot, write: Write, now: Time, out: &mut Out) -> Reply {
        let Some(head) = self.heads.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return ABSENT };
        let Some(object) = self.controllers.object(slot) else { return ABSENT };
        let what = match write {
            Write::Finalizer { on } => {
                head.finalizer = on;
                if head.is_finished() {
                    self.gone(slot, now, out);
                    return OK;
                }
                3 + u64::from(on)
            }
            Write::Conditions => {
                head.status.write_conditions(&object.status);
                let conditions = object.status.conditions.iter();
                print(&conditions.map(|c| (c.kind, c.truth, c.reason, c.text, c.generation)).collect::<Vec<_>>())
            }
            Write::Status(fields) => {
                head.status.write_fields(&object.status, fields);
                print(&(fields, head.status.observed, head.status.artifact, head.status.applied))
            }
            // Nothing is written, so nothing changes: no version, no watch event.
            _ => return self.view(slot),
        };
        self.version += 1;
        head.version = self.version;
        out.note(now, FLUX | self.entity(slot.0), what);
        self.tell_shown(ground, slot, out);
        self.view(slot)
    }

    fn view(&self, slot: FluxSlot) -> Reply {
        let head = self.heads.get(slot.0 as usize).and_then(Option::as_ref);
        let view = head.map(|head| View {
            version: head.version,
            generation: head.generation,
            content: head.content,
            current: false,
        });
        Reply { code: 200, object: view }
    }

    /// The HelmChart of a HelmRelease.
    fn chart(&mut self, ground: &Ground<'_>, op: &Op, owner: FluxSlot, now: Time, out: &mut Out) -> Reply {
        let Some(release) = self.controllers.object(owner) else { return ABSENT };
        let Spec::Release(spec) = &release.spec else { return ABSENT };
        let Some(chart) = spec.chart.clone() else { return ABSENT };
        let name: Arc<str> = format!("{}-{}", release.meta.namespace, release.meta.name).into();
        let namespace = Arc::clone(&chart.source.namespace);
        let slot = self.controllers.find(Kind::HELM_CHART, &namespace, &name).filter(|slot| self.has(*slot));
        // What Flux writes into a chart: everything but the names, which stay.
        let content = ContentId(print(&(&chart.chart, &chart.version, chart.common.interval)) | 1);
        let of = |content, version| Some(View { version, content, ..View::default() });
        match (op.verb, slot) {
            (Verb::Get, None) | (Verb::Delete, None) => ABSENT,
            (Verb::Get, Some(slot)) => self.view(slot),
            (Verb::Delete, Some(slot)) => Reply { code: self.delete_flux(ground, slot, now, out), object: None },
            (_, None) if op.dry_run => Reply { code: 201, object: of(content, 0) },
            (_, Some(_)) if op.dry_run => Reply { code: 200, object: of(content, 0) },
            (_, Some(slot)) => {
                self.change(ground, slot, content, Spec::Chart(Arc::new(chart)), now, out);
                self.view(slot)
            }
            (_, None) => {
                let head = self.heads.get(owner.0 as usize).and_then(Option::as_ref);
                let of_addon = head.map_or(u16::MAX, |head| head.addon);
                let head = self.fresh(ground, None, of_addon, Kind::HELM_CHART, content);
                self.create((&namespace, &name), head, Spec::Chart(Arc::new(chart)), now, out);
                Reply { code: 201, object: of(content, self.version) }
            }
        }
    }

    /// An object that a workload installs.
    fn on_item(&mut self, ground: &Ground<'_>, op: &Op, at: usize, n: u16, now: Time, out: &mut Out) -> Reply {
        let exists = self.items[at].exists;
        match op.verb {
            Verb::Get | Verb::Delete if !exists => return ABSENT,
            Verb::Get => {}
            Verb::Delete => {
                self.remove_item(ground, at, true, now, out);
                return OK;
            }
            _ => return self.apply(ground, op, at, n, now, out),
        }
        let item = &self.items[at];
        let deployment = ground.items[at].kind == Kind::DEPLOYMENT;
        let current = !deployment || item.available == item.generation;
        let generation = item.generation;
        Reply { code: 200, object: Some(View { version: self.version, generation, content: item.content, current }) }
    }

    fn apply(&mut self, ground: &Ground<'_>, op: &Op, at: usize, n: u16, now: Time, out: &mut Out) -> Reply {
        let Write::Manifest { build, .. } = op.body.write else { return ABSENT };
        let essence = self.essence(ground, op, build, n);
        let existed =
            if op.dry_run { self.items[at].exists } else { self.put_item(ground, at, essence, true, now, out) };
        let content = essence.content;
        let view = View { version: self.version, generation: self.items[at].generation, content, current: false };
        Reply { code: if existed { 200 } else { 201 }, object: Some(view) }
    }

    fn essence(&self, ground: &Ground<'_>, op: &Op, build: Build, n: u16) -> crate::model::flux::render::Essence {
        let owner = self.controllers.object(op.body.slot);
        let kind = owner.map_or(Kind::KUSTOMIZATION, |owner| owner.kind);
        essence(&ground.flux.catalogue, kind, owner.and_then(|owner| owner.spec.values()), build, n)
    }

    /// The storage Secret of a release at a revision.
    fn release(&mut self, op: &Op, owner: FluxSlot, revision: u32, out: &mut Out) -> Reply {
        let object = self.controllers.object(owner).and_then(|o| o.status.inventory);
        let head = self.heads.get(owner.0 as usize).and_then(Option::as_ref).map(|head| head.addon);
        let key = (head.or(object.map(addon)).unwrap_or(u16::MAX), revision);
        match op.verb {
            Verb::Create => {
                if self.releases.insert(key) {
                    out.object(true);
                }
                Reply { code: 201, object: None }
            }
            Verb::Delete => {
                if !self.releases.remove(&key) {
                    return ABSENT;
                }
                out.object(false);
                OK
            }
            _ if self.releases.contains(&key) => OK,
            _ => ABSENT,
        }
    }
}
