//! The timeline as changes: every action of the scenario, played in order of time on the fleet's state.
//!
//! In: the steps of a scenario. Out: one [`Change`] per app touched, and one [`Membership`] per cluster that joins or
//! leaves. An action that leaves an app as it was makes no change.
//!
//! An upgrade or a scale step also moves the target of apps that do not exist yet: what is installed later, or on a
//! cluster that joins later, arrives in the state that its siblings are in. Faults are no changes of apps: whoever drives
//! a run reads them from the scenario.

use super::apps::Grid;
use super::bits::Bits;
use super::clusters::Clusters;
use super::sample::{self, Lottery};
use super::select::Matcher;
use super::values::{ValueSets, ValuesId};
use crate::ids::{AddonId, AppId, ClusterId};
use crate::scenario::{Action, Arrival, DriftKind, Scenario, Selector};
use crate::seed::Seed;
use crate::units::Span;

/// What an Application asks for: a version and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Index into the add-on's versions.
    pub version: u32,
    /// Values over the add-on's own.
    pub values: ValuesId,
}

/// What happens to one app at one time. Its `ChangeId` is its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, from the start of the run.
    pub at: Span,
    /// To which app.
    pub app: AppId,
    /// What.
    pub kind: ChangeKind,
    /// What its Application asks for afterwards.
    pub target: Target,
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// The Application is created.
    Install,
    /// Its target revision moves.
    Upgrade,
    /// A new commit appears under its target revision; the hub sees nothing.
    Commit {
        /// Which commit of the add-on, counted from 1.
        number: u32,
    },
    /// Its values change.
    Scale,
    /// Somebody changes one of its objects behind the controllers' backs.
    Drift {
        /// Which object, counted in the order of `scenario::Objects`: Deployments, ConfigMaps, ServiceAccounts, Services.
        object: u32,
        /// Deleted or edited.
        kind: DriftKind,
    },
    /// The Application is deleted.
    Decommission,
}

/// A cluster joins or leaves the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// When, from the start of the run.
    pub at: Span,
    /// Which.
    pub cluster: ClusterId,
    /// Joins, or leaves.
    pub joins: bool,
}

/// The timeline played to its end.
pub(super) struct Played {
    pub(super) changes: Vec<Change>,
    pub(super) memberships: Vec<Membership>,
    pub(super) values: ValueSets,
    /// Apps that exist at some time.
    pub(super) ever: Bits,
}

/// One moment of a step: an install has one per wave, churn one per arrival.
#[derive(Clone, Copy, Debug)]
struct Beat {
    at: Span,
    step: u32,
    part: u32,
}

/// The state of the fleet while the timeline is played.
struct Player<'a> {
    scenario: &'a Scenario,
    clusters: &'a Clusters,
    grid: Grid,
    seed: Seed,
    member: Bits,
    /// The next cluster of the reserve.
    next: u32,
    /// Apps that exist on members and shall exist on others once they join.
    wanted: Bits,
    targets: Vec<Target>,
    commits: Vec<u32>,
    /// How many apps exist, by add-on.
    present: Vec<u32>,
    /// Per install step and add-on: the cluster ids at which its waves begin, and the end.
    waves: std::collections::BTreeMap<(u32, AddonId), Vec<u32>>,
    out: Played,
}

/// Plays the timeline.
pub(super) fn play(scenario: &Scenario, clusters: &Clusters, grid: Grid, seed: Seed) -> Played {
    let apps = grid.len();
    let mut member = Bits::new(clusters.len() as usize);
    for id in 0..clusters.initial() {
        member.set(id as usize);
    }
    let mut player = Player {
        scenario,
        clusters,
        grid,
        seed: seed.child("timeline"),
        member,
        next: clusters.initial(),
        wanted: Bits::new(apps),
        targets: vec![Target::default(); apps],
        commits: vec![0; scenario.addons.len()],
        present: vec![0; scenario.addons.len()],
        waves: std::collections::BTreeMap::new(),
        out: Played { changes: Vec::new(), memberships: Vec::new(), values: ValueSets::new(), ever: Bits::new(apps) },
    };
    for beat in beats(scenario, player.seed) {
        player.beat(beat);
    }
    player.out
}

/// The reserve that the timeline needs: every cluster that joins is a new one.
pub(super) fn reserve(scenario: &Scenario) -> u32 {
    let joins = scenario.timeline.iter().map(|step| match step.action {
        Action::Clusters { delta } => u32::try_from(delta.max(0)).unwrap_or(u32::MAX),
        _ => 0,
    });
    joins.fold(0, u32::saturating_add)
}

/// The moments of all steps by time; at the same time in the order of the scenario.
fn beats(scenario: &Scenario, seed: Seed) -> Vec<Beat> {
    let mut beats = Vec::new();
    for (step, s) in (0_u32..).zip(&scenario.timeline) {
        match s.action {
            Action::Install { waves, wave_gap, .. } => {
                let at = |wave: u32| s.at + Span(wave_gap.0.saturating_mul(u64::from(wave)));
                beats.extend((0..waves.max(1)).map(|part| Beat { at: at(part), step, part }));
            }
            Action::Churn { rate_milli, arrival, duration } => {
                let seed = seed.child("arrivals").entity(u64::from(step));
                let arrivals = arrivals(rate_milli, arrival, duration, seed);
                beats.extend((0_u32..).zip(arrivals).map(|(part, after)| Beat { at: s.at + after, step, part }));
            }
            Action::Fault { .. } | Action::Trouble { .. } | Action::Shift(_) => {}
            _ => beats.push(Beat { at: s.at, step, part: 0 }),
        }
    }
    beats.sort_by_key(|beat| beat.at);
    beats
}

/// The arrival times of an open-loop process, from its start.
fn arrivals(rate_milli: u64, arrival: Arrival, duration: Span, seed: Seed) -> impl Iterator<Item = Span> {
    // One arrival takes 10^12 / rate_milli nanoseconds; an even process multiplies before it divides, so as not to drift.
    const NANOS: u128 = 1_000_000_000_000;
    let rate = u128::from(rate_milli.max(1));
    let mean = Span(u64::try_from(NANOS / rate).unwrap_or(u64::MAX));
    let mut n = 0;
    let mut last = Span::ZERO;
    std::iter::from_fn(move || {
        last = match arrival {
            Arrival::Poisson => last + seed.exponential(n, mean),
            Arrival::Fixed => Span(u64::try_from(u128::from(n) * NANOS / rate).unwrap_or(u64::MAX)),
        };
        n += 1;
        (rate_milli > 0 && last < duration).then_some(last)
    })
}

impl Player<'_> {
    fn beat(&mut self, beat: Beat) {
        let scenario = self.scenario;
        let step = beat.step as usize;
        match &scenario.timeline[step].action {
            Action::Install { addons, waves, .. } => {
                for &addon in addons {
                    self.install(beat, addon, (*waves).max(1));
                }
            }
            Action::Upgrade { addon, version, selector } => {
                let version = u32::try_from(*version).unwrap_or(u32::MAX);
                self.retarget(beat.at, *addon, selector, ChangeKind::Upgrade, |t, _| Target { version, ..t });
            }
            Action::Commit { addon } => self.commit(beat.at, *addon),
            Action::Scale { addon, values, replicas, selector } => {
                self.retarget(beat.at, *addon, selector, ChangeKind::Scale, |t, sets| Target {
                    values: sets.scale(t.values, step, values, *replicas),
                    ..t
                });
            }
            Action::Rollout { addon, selector } => {
                let matcher = self.matcher(*addon, selector, "rollout");
                for id in self.clusters.ids().filter(|&id| matcher.matches(self.clusters, id)) {
                    self.want(beat.at, self.grid.app(id, *addon));
                }
            }
            Action::Clusters { delta } => self.resize(beat, *delta),
            Action::Drift { addon, apps, kind } => self.drift(beat, *addon, *apps, *kind),
            Action::Decommission { addon, selector } => {
                let matcher = self.matcher(*addon, selector, "decommission");
                for id in self.clusters.ids().filter(|&id| matcher.matches(self.clusters, id)) {
                    let app = self.grid.app(id, *addon);
                    if self.wanted.clear(app.index()) && self.member.get(id.index()) {
                        self.push(beat.at, app, ChangeKind::Decommission);
                    }
                }
            }
            Action::Churn { .. } => self.churn(beat),
            Action::Fault { .. } | Action::Trouble { .. } | Action::Shift(_) => {}
        }
    }

    fn matcher(&self, addon: AddonId, selector: &Selector, purpose: &str) -> Matcher {
        Matcher::new(self.clusters, &self.scenario.addons[addon.index()], selector, purpose, self.seed)
    }

    fn push(&mut self, at: Span, app: AppId, kind: ChangeKind) {
        let present = &mut self.present[self.grid.addon(app).index()];
        match kind {
            ChangeKind::Install => {
                *present += 1;
                self.out.ever.set(app.index());
            }
            ChangeKind::Decommission => *present -= 1,
            _ => {}
        }
        self.out.changes.push(Change { at, app, kind, target: self.targets[app.index()] });
    }

    fn exists(&self, app: AppId) -> bool {
        self.wanted.get(app.index()) && self.member.get(self.grid.cluster(app).index())
    }

    /// The app shall exist; it does at once if its cluster is there.
    fn want(&mut self, at: Span, app: AppId) {
        if self.wanted.set(app.index()) && self.member.get(self.grid.cluster(app).index()) {
            self.push(at, app, ChangeKind::Install);
        }
    }

    /// One wave: the members between two ids. Clusters of the reserve are decided with the first wave.
    fn install(&mut self, beat: Beat, addon: AddonId, waves: u32) {
        let matcher =
            super::apps::catalogue_matcher(self.clusters, &self.scenario.addons[addon.index()], self.grid.seed);
        if beat.part == 0 {
            let selected = |id: &ClusterId| matcher.matches(self.clusters, *id);
            let (members, others): (Vec<_>, Vec<_>) =
                self.clusters.ids().filter(selected).partition(|id| self.member.get(id.index()));
            let starts = (0..u64::from(waves)).map(|wave| {
                let rank = wave * members.len() as u64 / u64::from(waves);
                usize::try_from(rank).ok().and_then(|rank| members.get(rank)).map_or(self.clusters.len(), |id| id.0)
            });
            let starts = starts.chain([self.clusters.len()]).collect();
            self.waves.insert((beat.step, addon), starts);
            for id in others {
                self.wanted.set(self.grid.app(id, addon).index());
            }
        }
        let starts = &self.waves[&(beat.step, addon)];
        let (from, to) = (starts[beat.part as usize], starts[beat.part as usize + 1]);
        for id in (from..to).map(ClusterId) {
            if self.member.get(id.index()) && matcher.matches(self.clusters, id) {
                self.want(beat.at, self.grid.app(id, addon));
            }
        }
    }

    fn retarget(
        &mut self,
        at: Span,
        addon: AddonId,
        selector: &Selector,
        kind: ChangeKind,
        mut next: impl FnMut(Target, &mut ValueSets) -> Target,
    ) {
        let matcher = self.matcher(addon, selector, if kind == ChangeKind::Upgrade { "upgrade" } else { "scale" });
        for id in self.clusters.ids().filter(|&id| matcher.matches(self.clusters, id)) {
            let app = self.grid.app(id, addon);
            let target = next(self.targets[app.index()], &mut self.out.values);
            if std::mem::replace(&mut self.targets[app.index()], target) != target && self.exists(app) {
                self.push(at, app, kind);
            }
        }
    }

    fn commit(&mut self, at: Span, addon: AddonId) {
        let grid = self.grid;
        self.commits[addon.index()] += 1;
        let number = self.commits[addon.index()];
        for app in self.clusters.ids().map(|id| grid.app(id, addon)) {
            if self.exists(app) {
                self.push(at, app, ChangeKind::Commit { number });
            }
        }
    }

    /// Joining clusters come from the reserve in id order; leaving ones are drawn.
    fn resize(&mut self, beat: Beat, delta: i64) {
        if delta >= 0 {
            let joining = u32::try_from(delta).unwrap_or(u32::MAX);
            let end = self.next.saturating_add(joining).min(self.clusters.len());
            for id in (self.next..end).map(ClusterId) {
                self.member.set(id.index());
                self.out.memberships.push(Membership { at: beat.at, cluster: id, joins: true });
                self.on_cluster(beat.at, id, ChangeKind::Install);
            }
            self.next = end;
            return;
        }
        let mut lottery = Lottery::new(usize::try_from(delta.unsigned_abs()).unwrap_or(usize::MAX));
        let seed = self.seed.child("leave").entity(u64::from(beat.step));
        for id in self.clusters.ids().filter(|id| self.member.get(id.index())) {
            lottery.enter(id.0, seed.entity(u64::from(id.0)).unit(0));
        }
        for id in lottery.winners().map(ClusterId) {
            self.on_cluster(beat.at, id, ChangeKind::Decommission);
            self.member.clear(id.index());
            self.out.memberships.push(Membership { at: beat.at, cluster: id, joins: false });
        }
    }

    /// One change of each app that the cluster has or shall have.
    fn on_cluster(&mut self, at: Span, id: ClusterId, kind: ChangeKind) {
        for app in self.grid.apps_of(id) {
            if self.wanted.get(app.index()) {
                self.push(at, app, kind);
            }
        }
    }

    /// Distinct apps, by the weights of their add-ons.
    fn drift(&mut self, beat: Beat, addon: Option<AddonId>, apps: u32, kind: DriftKind) {
        let seed = self.seed.child("drift").entity(u64::from(beat.step));
        let scenario = self.scenario;
        let draw = |app: AppId| {
            let addon = &scenario.addons[self.grid.addon(app).index()];
            (addon, seed.child(&addon.name).entity(u64::from(self.grid.cluster(app).0)))
        };
        let mut lottery = Lottery::new(apps as usize);
        for id in self.clusters.ids() {
            for app in self.grid.apps_of(id).filter(|&app| self.exists(app)) {
                let (entry, draw) = draw(app);
                if addon.is_none_or(|only| only == self.grid.addon(app)) && entry.objects.total() > 0 {
                    lottery.enter(app.0, sample::ticket(draw, 0, entry.weight));
                }
            }
        }
        for app in lottery.winners().map(AppId) {
            let (entry, draw) = draw(app);
            let object = u32::try_from(draw.below(1, u64::from(entry.objects.total()))).unwrap_or(0);
            self.out.changes.push(Change {
                at: beat.at,
                app,
                kind: ChangeKind::Drift { object, kind },
                target: self.targets[app.index()],
            });
        }
    }

    /// One arrival: an add-on by weight, one of its apps evenly. It moves to its next version, the first after the last;
    /// an add-on with a single version gets a changed value.
    fn churn(&mut self, beat: Beat) {
        let seed = self.seed.child("churn").entity(u64::from(beat.step)).entity(u64::from(beat.part));
        let scenario = self.scenario;
        let tickets = scenario.addons.iter().enumerate().filter(|&(at, _)| self.present[at] > 0);
        let tickets = tickets.map(|(at, addon)| (sample::ticket(seed.child(&addon.name), 0, addon.weight), at));
        let Some((_, at)) = tickets.min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
        let Some(app) = self.some_app(AddonId::from_index(at), seed) else { return };
        let target = self.targets[app.index()];
        let versions = u32::try_from(scenario.addons[at].versions.len()).unwrap_or(u32::MAX);
        let (kind, next) = if versions > 1 {
            (ChangeKind::Upgrade, Target { version: (target.version + 1) % versions, ..target })
        } else {
            (ChangeKind::Scale, Target { values: self.out.values.churn(target.values), ..target })
        };
        self.targets[app.index()] = next;
        self.push(beat.at, app, kind);
    }

    /// A random app of an add-on that exists: cluster numbers are drawn until one has it; after 64 misses, which only an
    /// add-on on few clusters makes likely, the search goes on in id order.
    fn some_app(&self, addon: AddonId, seed: Seed) -> Option<AppId> {
        let len = self.clusters.len();
        let drawn = |n| u32::try_from(seed.below(n, u64::from(len))).unwrap_or(0);
        let app = |id: u32| self.grid.app(ClusterId(id), addon);
        let start = drawn(64);
        let after = (start..len).chain(0..start);
        (0..64).map(drawn).chain(after).map(app).find(|&app| self.exists(app))
    }
}
