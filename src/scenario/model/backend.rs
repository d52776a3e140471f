//! Where the objects of a live run live.

/// Where objects live in a live run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    /// Those of hubs.
    pub hub: Home,
    /// Those of leaves.
    pub leaves: Home,
}

impl Backend {
    /// Mock API servers alone.
    pub const MOCK: Self = Self::of(Home::Mock);

    /// Everything in one kind of place.
    #[must_use]
    pub const fn of(home: Home) -> Self {
        Self { hub: home, leaves: home }
    }

    /// Whether anything lives there.
    #[must_use]
    pub fn uses(self, home: Home) -> bool {
        [self.hub, self.leaves].contains(&home)
    }

    /// Whether kind makes any of it.
    #[must_use]
    pub const fn is_of_kind(self) -> bool {
        self.hub.is_of_kind() || self.leaves.is_of_kind()
    }

    /// Its name in a record: one word if all live alike.
    #[must_use]
    pub fn name(self) -> String {
        if self.hub == self.leaves {
            self.hub.name().to_owned()
        } else {
            format!("{} hub, {} leaves", self.hub.name(), self.leaves.name())
        }
    }
}

/// Where objects of one kind of cluster live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Home {
    /// API servers in processes of ours.
    Mock,
    /// A kube-apiserver and an etcd that the run starts and stops.
    LocalControlPlane,
    /// A cluster of kind that the run makes and deletes.
    Kind,
    /// One with three control planes.
    KindHa,
    /// A cluster of somebody's.
    Kubeconfig,
}

impl Home {
    /// Its name in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::LocalControlPlane => "local-control-plane",
            Self::Kind => "kind",
            Self::KindHa => "kind-ha",
            Self::Kubeconfig => "kubeconfig",
        }
    }

    /// Whether kind makes it.
    #[must_use]
    pub const fn is_of_kind(self) -> bool {
        matches!(self, Self::Kind | Self::KindHa)
    }
}
