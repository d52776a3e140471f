//! Faults: somebody must be hurt, in a way that is possible, and nobody twice at a time.

use super::super::{at, managers, selector};
use super::Play;
use crate::scenario::errors::Finding;
use crate::scenario::spec::{Delay, Fault, FaultKind, FaultProcess};
use crate::units::Span;

impl Play<'_> {
    pub(super) fn fault(&mut self, here: &str, index: usize, time: Span, fault: &Fault) {
        self.victim(here, fault);
        self.details(here, fault);
        let victim = match fault.process {
            FaultProcess::Manager => format!("manager {}", fault.manager),
            FaultProcess::Leaves => "the leaves".to_owned(),
            FaultProcess::Hub => "the hub".to_owned(),
        };
        let end = time + fault.duration;
        let overlap = self.hurt.iter().find(|(other, until, _)| *other == victim && *until > time);
        if let Some((_, until, other)) = overlap
            && !fault.kind.is_trouble()
        {
            let verb = if fault.process == FaultProcess::Leaves { "are" } else { "is" };
            let message = format!("{victim} {verb} hurt until {until} by step {other} already");
            self.refuse("contradiction", here, message, "let it begin after the other has ended");
        }
        if !fault.kind.is_trouble() {
            self.hurt.push((victim, end, index));
        }
        self.in_time(&format!("{here}.duration"), end, "its end");
    }

    /// Whoever is hurt exists and can be hurt this way.
    fn victim(&mut self, here: &str, fault: &Fault) {
        let managers = managers(self.spec);
        let of_manager = fault.process == FaultProcess::Manager;
        if of_manager && fault.manager >= managers {
            let message = format!("there is no manager {}, they are 0 to {}", fault.manager, managers - 1);
            let finding = Finding::error("unknown-reference", &at(format!("{here}.manager")), message);
            self.findings.push(finding.about("spec.topology.**"));
        }
        if !of_manager && fault.kind == FaultKind::Kill {
            let message = "API servers keep their objects in memory: killed, they would come back empty".to_owned();
            let finding = Finding::error("contradiction", &at(format!("{here}.kind")), message);
            let hint = "use `kind: pause`, or `kind: restart` on the simulated clock";
            self.findings.push(finding.about(&format!("{here}.process")).hint(hint));
        }
        if of_manager && fault.kind.is_trouble() {
            let message = "this happens to API servers, not to a manager".to_owned();
            let finding = Finding::error("contradiction", &at(format!("{here}.kind")), message);
            self.findings
                .push(finding.about(&format!("{here}.process")).hint("add `process: leaves` or `process: hub`"));
        }
        if !fault.selector.is_all() {
            let path = format!("{here}.selector");
            selector::check(&path, &fault.selector, self.spec, self.findings);
            if fault.process != FaultProcess::Leaves || !fault.kind.is_trouble() {
                let message = "only API servers of clusters are selected, and no processes".to_owned();
                let finding = Finding::error("contradiction", &at(path), message).of_key();
                self.findings.push(finding.about(&format!("{here}.*")).hint("remove it"));
            }
        }
    }

    /// What goes with one kind of fault alone.
    fn details(&mut self, here: &str, fault: &Fault) {
        let own = |kinds: &[FaultKind]| kinds.contains(&fault.kind);
        for (key, there, fits, of) in [
            ("share", fault.share.is_some(), own(&[FaultKind::Slow, FaultKind::Throttle]), "`slow` and `throttle`"),
            ("delay", fault.delay.is_some(), own(&[FaultKind::Slow]), "`slow`"),
            ("retryAfter", fault.retry_after.is_some(), own(&[FaultKind::Throttle]), "`throttle`"),
        ] {
            if there && !fits {
                let finding = Finding::error("contradiction", &at(format!("{here}.{key}")), format!("belongs to {of}"));
                self.findings.push(finding.of_key().about(&format!("{here}.kind")).hint("remove it"));
            }
        }
        if fault.kind == FaultKind::Slow && fault.delay.is_none() {
            let finding = Finding::error("range", &at(here), "nothing would be slower").of_key();
            self.findings.push(finding.hint("say by how much: `delay: { fixed: 2s }`"));
        }
        if let Some(Delay::Uniform { min, max }) = &fault.delay {
            super::super::ordered(&format!("{here}.delay.uniform"), ["min", "max"], [*min, *max], self.findings);
        }
        if fault.share.is_some_and(|share| share.ppm == 0) {
            self.findings.push(Finding::error("range", &at(format!("{here}.share")), "0% of the calls is none"));
        }
        if fault.retry_after.is_some_and(|after| after < Span::from_secs(1) || after.0 % 1_000_000_000 != 0) {
            let path = at(format!("{here}.retryAfter"));
            let finding = Finding::error("range", &path, "Retry-After is told in whole seconds");
            self.findings.push(finding.hint("write at least 1s"));
        }
    }
}
