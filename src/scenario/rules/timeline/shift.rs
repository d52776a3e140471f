//! Shifts: who comes, goes and moves must exist, and there must be somebody who can make it so.

use super::super::{at, topology};
use super::Play;
use crate::scenario::errors::Finding;
use crate::scenario::spec::{Change, TopologyKind};

/// The most managers.
const MANAGERS_MAX: i64 = 1000;

impl Play<'_> {
    pub(super) fn shift(&mut self, here: &str, change: &Change) {
        match change {
            Change::Managers { delta } => self.managers_come(&format!("{here}.managers"), *delta),
            Change::Move { clusters, to } => self.move_by_hand(&format!("{here}.move"), clusters, *to),
            Change::Drain { cell } => self.drain(&format!("{here}.drain"), *cell),
            _ => {}
        }
    }

    fn only(&mut self, here: &str, kinds: &[TopologyKind], message: &str, hint: &str) -> bool {
        let fits = kinds.contains(&self.spec.topology.kind);
        if !fits {
            let finding = Finding::error("contradiction", &at(here), message).of_key();
            self.findings.push(finding.about("spec.topology.kind").hint(hint));
        }
        fits
    }

    fn managers_come(&mut self, here: &str, delta: i64) {
        let why = "only managers that share a hub come and go: elsewhere each has a hub of its own";
        if !self.only(here, &[TopologyKind::Sharded], why, "write `kind: sharded`, or leave the step out") {
            return;
        }
        if self.spec.topology.lease.is_none() {
            let message = "without leases nobody would know who is there";
            let finding = Finding::error("contradiction", &at(here), message).of_key();
            self.findings.push(finding.about("spec.topology.lease").hint("write `topology: { lease: 15s, .. }`"));
        }
        let before = self.managers;
        let after = before + delta;
        let path = at(format!("{here}.delta"));
        if delta == 0 {
            self.findings.push(Finding::error("no-effect", &path, "no manager would come or go"));
        } else if !(1..=MANAGERS_MAX).contains(&after) {
            let message = format!("{before} managers would become {after}, possible are 1 to {MANAGERS_MAX}");
            self.findings.push(Finding::error("contradiction", &path, message).about("spec.topology.shards"));
            return;
        } else if after > self.clusters {
            let message = format!("{after} managers cannot share {} clusters", self.clusters);
            self.findings.push(Finding::error("contradiction", &path, message).about("spec.fleet.clusters"));
        }
        self.managers = after;
    }

    fn move_by_hand(&mut self, here: &str, clusters: &[String], to: u32) {
        let kinds = [TopologyKind::Sharded, TopologyKind::Cells];
        let why = "there is nowhere to move to: every cluster's manager is given";
        if !self.only(here, &kinds, why, "write `kind: sharded` or `kind: cells`, or leave the step out") {
            return;
        }
        for (position, cluster) in clusters.iter().enumerate() {
            topology::known(&at(format!("{here}.clusters.{position}")), cluster, self.spec, self.findings);
        }
        self.existing(&format!("{here}.to"), to);
        if self.drained.contains(&to) {
            let message = format!("cell {to} is drained by then");
            self.refuse("contradiction", &format!("{here}.to"), message, "name another cell, or move them before");
        }
    }

    fn drain(&mut self, here: &str, cell: u32) {
        let hint = "write `kind: cells`, or leave the step out";
        if !self.only(here, &[TopologyKind::Cells], "there are no cells", hint) {
            return;
        }
        let path = format!("{here}.cell");
        if !self.existing(&path, cell) {
            return;
        }
        if !self.drained.insert(cell) {
            self.refuse("no-effect", &path, format!("cell {cell} is drained already"), "name another cell");
        } else if self.drained.len() as i64 == self.managers {
            let message = "no cell would be left".to_owned();
            self.refuse("contradiction", &path, message, "leave one, or raise `topology.shards`");
        }
    }

    /// Whether there is such a manager or cell by then; a finding if not.
    fn existing(&mut self, path: &str, number: u32) -> bool {
        let there = i64::from(number) < self.managers;
        if !there {
            let what = if self.spec.topology.kind == TopologyKind::Cells { "cell" } else { "manager" };
            let message = format!("there is no {what} {number} by then, they are 0 to {}", self.managers - 1);
            let finding = Finding::error("unknown-reference", &at(path), message);
            self.findings.push(finding.about("spec.topology.shards").about("spec.timeline.**"));
        }
        there
    }
}
